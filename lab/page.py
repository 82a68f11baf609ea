"""Pages to read in a browser: one file each, pictures and all, that asks nobody for anything.

A room keeps its page as a jinja2 template beside its code, and extends `page.html` of this folder:
`{% extends "page.html" %}`, with the blocks title, lead, style, content and script.
"""

import base64
import io
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from lab.run import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASE = Path(__file__).parent


def write_page(path: str | Path, template: Path, **values: Any) -> None:
    """Render `template`, a file that extends page.html, with `values`, and write it atomically.

    Everything that is inserted is escaped. The filters are `picture` and `number`, the function is
    `svg`. A name that the template uses and `values` lacks raises jinja2.UndefinedError.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, BASE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"picture": picture, "number": number}
    environment.globals |= {"svg": svg, "version": _version()}
    write_text(path, environment.get_template(template.name).render(**values))


def picture(
    image: Image.Image | np.ndarray | str | Path,
    format: str = "JPEG",
    quality: int = 85,
    longest: int | None = None,
) -> str:
    """A picture as the data: URI of an <img>'s src.

    An image (uint8 [H, W, 3] if an array) is encoded as `format`, reduced until no side is longer
    than `longest` px. A file is taken as it is, unless `longest` is given.
    """
    if isinstance(image, str | Path) and longest is None:
        suffix = Path(image).suffix.lower().lstrip(".").replace("jpg", "jpeg")
        return _data_uri(Path(image).read_bytes(), suffix)
    if isinstance(image, str | Path):
        with Image.open(image) as opened:
            shown = opened.convert("RGB")
    else:
        shown = image if isinstance(image, Image.Image) else Image.fromarray(image)
    if longest is not None and max(shown.size) > longest:
        shown = shown.copy()
        shown.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    if format == "JPEG":
        shown = shown.convert("RGB")
    buffer = io.BytesIO()
    shown.save(buffer, format, **({} if format == "PNG" else {"quality": quality}))
    return _data_uri(buffer.getvalue(), format.lower())


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many decimals; a dash where there is none."""
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def svg(figure: "Figure") -> Markup:
    """A matplotlib figure as an inline <svg>: sharp at every size, the same bytes every time."""
    import matplotlib

    buffer = io.StringIO()
    # Without a salt the names of clip paths are random; text as text stays small and searchable.
    with matplotlib.rc_context({"svg.hashsalt": "pseudoword", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return Markup(text[text.index("<svg") :])


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _version() -> str:
    try:
        return version("pseudoword")
    except PackageNotFoundError:  # the sources, not installed
        return ""


def settings_rows(values: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as rows of a page: (dotted name, value as text)."""
    if isinstance(values, dict):
        return [
            pair
            for key, value in values.items()
            for pair in settings_rows(value, f"{prefix}.{key}" if prefix else key)
        ]
    text = values if isinstance(values, str) else json.dumps(values, ensure_ascii=False)
    return [(prefix, text)]
