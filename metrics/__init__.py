"""Measures of pictures: how far a set is from a style, and how sure one can be of it."""
