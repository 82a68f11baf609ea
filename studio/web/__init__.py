"""The web studio: forms that become experiments, a queue that runs them, pages that show runs.

Nothing is computed here. Only this package imports gradio, and none of it imports torch.
"""
