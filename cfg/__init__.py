"""The guidance study: one prompt, one seed, every scale (`pseudoword cfg FILE`)."""
