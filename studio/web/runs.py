"""The tab Runs: everything in outputs/, newest first."""

import gradio as gr

from studio.web.bench import Bench


def tab(bench: Bench) -> None:
    """Build the tab inside the Blocks that is open."""
    gr.Markdown("Runs")
