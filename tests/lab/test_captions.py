"""Captions from file names and from the .txt beside a picture."""

import unicodedata

import pytest

from lab.captions import crop_name, from_file_name, read_caption
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
    "caption", ["a cat", "Katze im Schnee", "a cat: black/white?", "9 lives", "", "ねこ" * 90, "a."]
)
def test_a_crop_is_named_so_that_its_name_is_its_caption_again(caption):
    name = crop_name(7, caption)
    assert name.startswith("0007")
    assert len(name.encode()) <= 110
    assert not set(name) & set('/\\:*?"<>|\0')
    if caption in ("a cat", "Katze im Schnee", "9 lives", ""):
        assert from_file_name(name) == caption


def test_the_text_beside_a_picture_comes_first(tmp_path):
    picture = tmp_path / "07 a cat.png"
    (tmp_path / "07 a cat.txt").write_bytes("﻿12 monkeys\r\nin a  tree\n".encode())
    caption = read_caption(picture, prefix="a drawing of")
    assert (caption.text, caption.origin) == ("a drawing of 12 monkeys in a tree", "sidecar")
    ignored = read_caption(picture, sidecar=False)
    assert (ignored.text, ignored.origin) == ("a cat", "file name")


def test_an_empty_text_says_nothing(tmp_path):
    (tmp_path / "a cat.txt").write_text(" \n")
    assert read_caption(tmp_path / "a cat.png").text == "a cat"


def test_a_text_that_is_none_is_named(tmp_path):
    (tmp_path / "a cat.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(UserError, match=r"a cat\.txt is not text in UTF-8"):
        read_caption(tmp_path / "a cat.png")
