"""How a word's pictures are distributed over an attribute, before and after it was evened out."""
