"""Captions from file names and from the .txt beside a picture."""

import unicodedata

import pytest

from lab.captions import from_file_name, read_caption
from lab.errors import UserError


@pytest.mark.parametrize(
    "stem, caption",
    [
        ("07 a yellow cat", "a yellow cat"),
        ("012-a cat on a wall", "a cat on a wall"),
        ("12_a_cat_on_a_wall", "a cat on a wall"),
        ("3. a dove", "a dove"),
        ("2021-05-03 a dove", "a dove"),
        ("07 3 cats", "3 cats"),
        ("012-3 cats", "3 cats"),
        ("3d print", "3d print"),
        ("1st prize", "1st prize"),
        ("a cat 12", "a cat 12"),
        ("  a   cat ", "a cat"),
        ("0001", ""),
        (unicodedata.normalize("NFD", "04 chaton élégant"), "chaton élégant"),
    ],
)
def test_a_file_name_is_a_caption_without_its_number(stem, caption):
    assert from_file_name(stem) == caption


def test_numbers_stay_when_asked():
    assert from_file_name("07 a yellow cat", strip_numbers=False) == "07 a yellow cat"


@pytest.mark.parametrize(
    "stem, pattern, joiner, caption",
    [
        ("012-yellow_cat,on-a wall", "[a-z]+", " ", "yellow cat on a wall"),
        ("07 Cat In Snow", "[A-Z][a-z]+", ", ", "Cat, In, Snow"),
        ("07 cat (tag) dog (other)", r"\((\w+)\)", " ", "tag other"),
        ("07 cat", "[0-9]+", " ", ""),
    ],
)
def test_a_word_pattern_is_automatic1111s_filewords(stem, pattern, joiner, caption):
    """modules/textual_inversion/dataset.py: strip the number, findall, join."""
    assert from_file_name(stem, word_pattern=pattern, joiner=joiner) == caption


@pytest.mark.parametrize(
    "sidecar, text, origin",
    [
        ("copy", "in oil", "sidecar"),
        ("prepend", "in oil a cat", "sidecar + file name"),
        ("append", "a cat in oil", "file name + sidecar"),
        ("ignore", "a cat", "file name"),
    ],
)
def test_a_text_that_exists_has_four_uses(tmp_path, sidecar, text, origin):
    (tmp_path / "07 a cat.txt").write_text("in oil\n")
    caption = read_caption(tmp_path / "07 a cat.png", sidecar=sidecar, prefix=">")
    assert (caption.text, caption.origin) == (f"> {text}", origin)
    nothing = read_caption(tmp_path / "07 a dog.png", sidecar=sidecar)
    assert (nothing.text, nothing.origin) == ("a dog", "file name")


@pytest.mark.parametrize("sidecar", ["prepend", "append"])
def test_a_text_beside_a_nameless_picture_stands_alone(tmp_path, sidecar):
    (tmp_path / "0001.txt").write_text("in oil")
    caption = read_caption(tmp_path / "0001.png", sidecar=sidecar)
    assert (caption.text, caption.origin) == ("in oil", "sidecar")


def test_the_text_beside_a_picture_comes_first(tmp_path):
    picture = tmp_path / "07 a cat.png"
    (tmp_path / "07 a cat.txt").write_bytes("﻿12 monkeys\r\nin a  tree\n".encode())
    caption = read_caption(picture, prefix="a drawing of")
    assert (caption.text, caption.origin) == ("a drawing of 12 monkeys in a tree", "sidecar")
    ignored = read_caption(picture, sidecar="ignore")
    assert (ignored.text, ignored.origin) == ("a cat", "file name")


def test_an_empty_text_says_nothing(tmp_path):
    (tmp_path / "a cat.txt").write_text(" \n")
    assert read_caption(tmp_path / "a cat.png").text == "a cat"


def test_a_text_that_is_none_is_named(tmp_path):
    (tmp_path / "a cat.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(UserError, match=r"a cat\.txt is not text in UTF-8"):
        read_caption(tmp_path / "a cat.png")
