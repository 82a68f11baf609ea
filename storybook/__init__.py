"""A drawn world and the miniature Stable Diffusion trained on it: the offline default."""
