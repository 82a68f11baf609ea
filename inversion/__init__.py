"""Textual inversion: pictures and captions -> a pseudo-word, a few vectors in the text encoder."""
