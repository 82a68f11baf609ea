"""The tab Denoise: unconditional models, step by step."""
