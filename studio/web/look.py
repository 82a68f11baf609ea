"""How the studio looks: one accent colour, the system's own letters, room around pictures.

No font, script or picture of it comes from anywhere else.
"""

from pathlib import Path

import gradio as gr
from gradio.themes.utils import colors, sizes

_LETTERS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_CODE = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")
HEADER = """\
<header class="pw-header"><h1>pseudoword</h1>
<p>Illustrations in, a learned word and a film of guidance out</p></header>"""


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
    ).set(
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_500",
        block_info_text_color_dark="*neutral_400",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        body_background_fill="*neutral_50",
        background_fill_primary="*neutral_50",  # the login's ground, which is told no style sheet
        body_background_fill_dark="*neutral_950",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_width="1px",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_border_width="0px",
        block_title_text_weight="500",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
        input_background_fill="white",
        input_background_fill_dark="*neutral_800",
        input_border_width="1px",
    )


def css() -> str:
    """The style sheet of the page; tabs have their own for what is only theirs."""
    return (Path(__file__).parent / "look.css").read_text(encoding="utf-8")
