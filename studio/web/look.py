"""How the studio looks: one accent colour, the system's own letters, room around pictures.

No font, script or picture of it comes from anywhere else.
"""

from pathlib import Path

import gradio as gr
from gradio.themes.utils import colors, sizes

_LETTERS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_CODE = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """The theme: gradio's plainest, with system fonts only."""
    return gr.themes.Base(
        primary_hue=colors.indigo,
        secondary_hue=colors.indigo,
        neutral_hue=colors.stone,
        font=_LETTERS,
        font_mono=_CODE,
        radius_size=sizes.radius_md,
        spacing_size=sizes.spacing_md,
        text_size=sizes.text_md,
    )


def css() -> str:
    return (Path(__file__).parent / "look.css").read_text(encoding="utf-8")
