"""The drawn world and the miniature Stable Diffusion trained on it: pseudoword's offline default."""
