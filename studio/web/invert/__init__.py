"""The tab Invert: a word is asked for, watched, and taken along."""
