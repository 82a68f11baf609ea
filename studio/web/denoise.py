"""The tab Denoise."""

import gradio as gr

from studio.web.bench import Bench, Tab


def tab(bench: Bench) -> Tab:
    """Build the tab inside the Blocks that is open."""
    run = gr.State("")
    gr.Markdown("Denoise")
    return Tab("denoise", "ddpm", [], lambda configuration: [], run)
