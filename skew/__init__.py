"""How skewed a word is, before and after it was learned anew (`pseudoword skew FILE`)."""
