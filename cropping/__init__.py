"""Pictures -> squares around what matters, with captions."""
