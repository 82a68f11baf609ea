"""The slider over saved frames: all of them are in the browser, so that it answers at once."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

_HERE = Path(__file__).parent


def frames_view(empty: str, **settings: Any) -> gr.HTML:
    """The component. Its value is a dict as frames.js describes it; `empty` is what is said while
    there are no frames. Arrow keys, Home and End move the slider."""
    return gr.HTML(
        {"frames": [], "rows": [], "heads": [], "empty": empty},
        html_template=(_HERE / "frames.html").read_text(encoding="utf-8"),
        css_template=(_HERE / "frames.css").read_text(encoding="utf-8"),
        js_on_load=(_HERE / "frames.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        **settings,
    )


def address(path: Path) -> str:
    """Where the page finds a file of an allowed folder; a file that is written anew has another."""
    return f"/gradio_api/file={quote(str(path.resolve()))}?{path.stat().st_mtime_ns:x}"
