"""Pictures with learned words, side by side (`pseudoword sample FILE`)."""
