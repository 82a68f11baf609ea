"""Unconditional diffusion models: train, fine-tune, sample, guide by a loss, film, measure."""
