"""Pictures that carry words: whole after any lossless copy, and never trusted."""

import base64
import json
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from diffusion import embedding_picture
from diffusion.formats import Embedding, convert, load_embedding
from lab.errors import UserError


@pytest.fixture
def word():
    return Embedding("<w>", torch.randn(3, 96, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("height", [64, 100, 511, 512])
@pytest.mark.parametrize("count", [1, 16, 75])
def test_hidden_text_is_found_again(height, count):
    text = json.dumps(list(np.random.default_rng(count).standard_normal(count * 32))).encode()
    card = Image.new("RGB", (120, height), (200, 150, 0))
    shades = np.arange(256, dtype=np.uint8)
    whole = np.asarray(embedding_picture.hide(card, text, shades))
    assert embedding_picture._hidden_text(whole) == text
    framed = np.zeros((height + 9, whole.shape[1] + 5, 3), np.uint8)
    framed[4 : 4 + height, 2 : 2 + whole.shape[1]] = whole
    assert embedding_picture._hidden_text(framed) == text


def test_a_black_card_hides_it_too(word):
    text = b'{"a": 1}'
    black = Image.new("RGB", (64, 64))
    whole = embedding_picture.hide(black, text, np.arange(256, dtype=np.uint8))
    assert embedding_picture._hidden_text(np.asarray(whole)) == text


def test_a_picture_is_shown_on_the_card(word, tmp_path):
    Image.new("RGB", (40, 20), (10, 200, 30)).save(tmp_path / "preview.jpg", quality=95)
    convert(word, tmp_path / "w.png", "a1111-png", tmp_path / "preview.jpg")
    with Image.open(tmp_path / "w.png") as image:
        middle = np.asarray(image.convert("RGB"))[200:300, image.width // 2]
    assert (middle[:, 1] > 2 * middle[:, 0]).all() and (middle[:, 1] > 60).all()
    assert torch.equal(load_embedding(tmp_path / "w.png").vectors, word.vectors)


def test_the_same_word_is_the_same_bytes(word, tmp_path):
    for name in "ab":
        convert(word, tmp_path / f"{name}.png", "a1111-png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def with_chunk(path, text: str):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("sd-ti-embedding", text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=chunks)


def encoded(values):
    return base64.b64encode(json.dumps(values).encode()).decode()


def recompressed(path, word):
    convert(word, path, "a1111-png")
    with Image.open(path) as image:
        image.convert("RGB").save(path, "WEBP", quality=80)


BAD = {
    "a picture without a word": lambda p, w: Image.new("RGB", (64, 64), "red").save(p),
    "without a word in it": lambda p, w: Image.new("RGB", (64, 64)).save(p),
    "hosts that recompress": recompressed,
    "what this picture says of its word is damaged": lambda p, w: with_chunk(p, "!" * 7),
    "is damaged; get the original": lambda p, w: with_chunk(p, base64.b64encode(b"[1").decode()),
    "holds no vectors": lambda p, w: with_chunk(p, encoded([1, 2])),
    "string_to_param holds no vectors": lambda p, w: with_chunk(
        p, encoded({"string_to_param": {"*": "__import__('os')"}})
    ),
    "says of its word is damaged": lambda p, w: with_chunk(
        p, encoded({"string_to_param": {"*": {"TORCHTENSOR": [[1, 2], [3]]}}})
    ),
    "of its word is damaged; get": lambda p, w: with_chunk(
        p, base64.b64encode(b"[" * 100_000).decode()
    ),
}


@pytest.mark.parametrize("sentence", BAD)
def test_a_picture_without_a_word_is_refused_in_one_sentence(tmp_path, word, sentence):
    path = tmp_path / "w.png"
    BAD[sentence](path, word)
    with pytest.raises(UserError, match=sentence) as raised:
        load_embedding(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_a_truncated_picture_is_refused(tmp_path, word):
    path = tmp_path / "w.png"
    convert(word, path, "a1111-png")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UserError, match="damaged"):
        load_embedding(path)


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_picture, "MOST_BYTES", 1000)
    card = Image.new("RGB", (64, 64), "white")
    bomb = embedding_picture.hide(card, b"0" * 100_000, np.arange(256, dtype=np.uint8))
    assert len(zlib.compress(b"0" * 100_000)) < 1000
    bomb.save(tmp_path / "w.png")
    with pytest.raises(UserError, match="without a word"):
        load_embedding(tmp_path / "w.png")
