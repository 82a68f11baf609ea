"""The bench: experiment files, run folders, devices, pictures and video. It knows no diffusion."""
