"""Pages: whole in one file, escaped, and the same bytes for the same content."""

import base64
import io
import re

import numpy as np
import pytest
from jinja2 import UndefinedError
from matplotlib.figure import Figure
from PIL import Image

from lab.page import number, picture, svg, write_page

TEMPLATE = """{% extends "page.html" %}
{% block title %}{{ name }}{% endblock %}
{% block content %}<img src="{{ shown | picture(longest=8) }}">{{ svg(figure) }}{% endblock %}
"""


def _figure() -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1], [0, 1])
    return figure


@pytest.fixture
def page(tmp_path):
    template = tmp_path / "report.html"
    template.write_text(TEMPLATE)
    shown = np.full((16, 32, 3), 200, np.uint8)

    def write(name="a <b>bold</b> title"):
        write_page(tmp_path / "out.html", template, name=name, shown=shown, figure=_figure())
        return (tmp_path / "out.html").read_text(encoding="utf-8")

    return write


def test_what_is_inserted_is_escaped(page):
    assert "<b>bold" not in page()
    assert "a &lt;b&gt;bold&lt;/b&gt; title" in page()


def test_a_page_asks_nobody_for_anything(page):
    """No address outside the file, in any attribute or style that a browser would follow."""
    text = page()
    assert not re.findall(r"(?:src|href)=[\"'](?!data:|#)[^\"']+", text)
    assert not re.findall(r"url\((?!#|data:)", text)
    assert "default-src 'none'" in text


def test_the_same_content_is_the_same_bytes(page):
    assert page() == page()


def test_a_forgotten_value_is_an_error(tmp_path):
    (tmp_path / "report.html").write_text(TEMPLATE)
    shown = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(UndefinedError):
        write_page(tmp_path / "out.html", tmp_path / "report.html", shown=shown)
    assert not (tmp_path / "out.html").exists()


def _opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_a_picture_keeps_its_pixels_and_its_shape(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    assert (np.asarray(_opened(picture(pixels, "PNG"))) == pixels).all()
    assert _opened(picture(pixels, longest=15)).size == (15, 10)
    path = tmp_path / "x.png"
    Image.fromarray(pixels).save(path)
    assert base64.b64decode(picture(path).partition(",")[2]) == path.read_bytes()
    assert picture(path).startswith("data:image/png")
    assert _opened(picture(path, longest=15)).size == (15, 10)


def test_numbers_and_figures():
    assert [number(0.12345), number(2, 0), number(None), number(float("nan"))] == [
        "0.123", "2", "–", "–",
    ]  # fmt: skip
    assert svg(_figure()).startswith("<svg")
    assert svg(_figure()) == svg(_figure())
