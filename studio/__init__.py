"""The edges: the terminal program."""
