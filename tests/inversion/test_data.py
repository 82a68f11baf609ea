"""Which pictures a word is learned from, with which captions, templates, masks and shapes."""

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion.stable_diffusion import load
from inversion import data
from inversion.checks import check_prompts, note_of_shapes, shapes_of
from inversion.config import Config, Evaluate, Previews, Tags
from inversion.data import Example, find_examples, upright_size
from inversion.initial import prepare_words
from inversion.latents import read_weights
from inversion.shapes import box_for, bucket_shapes, choose_shapes, nearest_shape
from inversion.templates import fill, mix_tags, read_templates, write_prompt
from lab.errors import UserError


def write_pictures(folder, *names, size=(4, 4)):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(path)


def write_lines(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture(scope="module")
def sd(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu")


# --- pictures and captions


def test_crops_are_found_with_their_masks(tmp_path):
    write_pictures(tmp_path, "images/1.png", "images/2.png", "images/2-masklabel.png")
    mask = "images/2-masklabel.png"
    write_lines(
        tmp_path / "crops.jsonl",
        {"file": "images/1.png", "caption": "a cat", "mask": None, "source": "x"},
        {"file": "images/2.png", "caption": "a dog", "mask": mask},
    )
    cat, dog = find_examples(Config(), tmp_path)
    assert (cat.caption, cat.path, cat.mask) == ("a cat", tmp_path / "images/1.png", None)
    assert (dog.caption, dog.mask, dog.size) == ("a dog", tmp_path / mask, (4, 4))


def test_metadata_comes_before_files_and_names(tmp_path):
    write_pictures(tmp_path, "1 named.png", "b.png", "c.png", "unlisted.png")
    (tmp_path / "b.txt").write_text("said beside it")
    write_lines(
        tmp_path / "metadata.jsonl",
        {"file_name": "c.png", "caption": "a  kite"},
        {"file_name": "b.png"},
        {"file_name": "1 named.png", "text": ""},
    )
    found = find_examples(Config(data=str(tmp_path)), tmp_path / "none")
    assert [example.caption for example in found] == ["a kite", "said beside it", ""]


def test_without_a_list_captions_stand_beside_the_picture_or_in_its_name(tmp_path):
    write_pictures(tmp_path, "012-a cat on a wall.png", "07 two_birds.png", "3.png", "3.mask.png")
    (tmp_path / "3.txt").write_text("a tree\n")
    found = find_examples(Config(data=str(tmp_path)), tmp_path)
    assert [example.caption for example in found] == ["a tree", "two birds", "a cat on a wall"]


def test_captions_follow_automatic1111s_rules_where_asked(tmp_path):
    write_pictures(tmp_path, "012-portrait_cat-of-mine.png")
    rules = {"word_pattern": r"[a-z]+", "joiner": ", ", "prefix": "photo"}
    (example,) = find_examples(Config(data=str(tmp_path), captions=rules), tmp_path)
    assert example.caption == "photo portrait, cat, of, mine"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"file_name": ', r"jsonl:1: .*no JSON object"),
        ('{"file": "1.png"}', r"jsonl:1: .*'file_name'"),
        ('{"file_name": "2.png"}', r"jsonl:1: .*2\.png is not there"),
        ('{"file_name": "1.png", "mask": "m.png"}', r"jsonl:1: the mask .*m\.png is not there"),
        ("", r"lists no pictures"),
        ("\udcff", r"metadata\.jsonl is not text in UTF-8"),
    ],
)
def test_a_damaged_list_is_refused(tmp_path, line, sentence):
    write_pictures(tmp_path, "1.png")
    (tmp_path / "metadata.jsonl").write_text(line + "\n", errors="surrogateescape")
    with pytest.raises(UserError, match=sentence):
        find_examples(Config(data=str(tmp_path)), tmp_path)


def test_a_line_of_a_list_ends_at_a_line_feed_alone(tmp_path):
    write_pictures(tmp_path, "1.png")
    line = '{"file_name": "1.png", "text": "a cat\u2028and a dog"}'
    (tmp_path / "metadata.jsonl").write_text(line + "\r\n")
    (example,) = find_examples(Config(data=str(tmp_path)), tmp_path)
    assert example.caption == "a cat and a dog"


def test_what_decides_the_result_is_in_the_fingerprint(tmp_path):
    write_pictures(tmp_path, "1.png")
    kinds = []
    for change in (
        lambda: None,
        lambda: write_pictures(tmp_path, "1-masklabel.png"),
        lambda: write_pictures(tmp_path, "1.png", size=(5, 4)),
        lambda: (tmp_path / "1.txt").write_text("a cat"),
    ):
        change()
        kinds.append(data.fingerprint(find_examples(Config(data=str(tmp_path)), tmp_path)))
    assert all(a != b for k, a in enumerate(kinds) for b in kinds[:k])


def test_sizes_are_those_of_upright_pictures(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert upright_size(tmp_path / "a.jpg") == (20, 30)
    (tmp_path / "b.jpg").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"b\.jpg"):
        upright_size(tmp_path / "b.jpg")


# --- templates


def test_template_files_have_one_prompt_a_line(tmp_path):
    path = tmp_path / "style_filewords.txt"
    path.write_text("\ufeffa painting of [filewords], art by [name]\r\n\n# not this\n  [name]  \n")
    templates = read_templates(Config(templates=str(path)))
    assert templates == ("a painting of [filewords], art by [name]", "[name]")
    assert fill(templates[0], "<w>", "a cat") == "a painting of a cat, art by <w>"
    path.write_text("\n# only this\n")
    with pytest.raises(UserError, match="is empty"):
        read_templates(Config(templates=str(path)))
    path.write_bytes("ein Märchen von [name]".encode("cp1252"))
    with pytest.raises(UserError, match=r"filewords\.txt is not text in UTF-8"):
        read_templates(Config(templates=str(path)))
    with pytest.raises(UserError, match="no such template file"):
        read_templates(Config(templates=str(tmp_path / "none.txt")))


def test_tags_are_shuffled_and_dropped_as_often_as_asked():
    rng = np.random.default_rng(0)
    caption = "first, a, b, c, <w> d"
    drawn = [
        mix_tags(caption, Tags(shuffle=True, drop=0.3, keep=1), ["<w>"], rng) for _ in range(2000)
    ]
    parts = [text.split(", ") for text in drawn]
    assert all(tags[0] == "first" and "<w> d" in tags for tags in parts)
    assert sum("a" in tags for tags in parts) / 2000 == pytest.approx(0.7, abs=0.04)
    places = [tags.index("<w> d") for tags in parts if len(tags) == 5]
    assert {1, 2, 3, 4} == {*places}
    assert np.bincount(places)[1:].min() > 0.8 * len(places) / 4


def test_tags_follow_from_their_number_alone():
    tags, caption = Tags(shuffle=True, drop=0.2), "a, b, c, d, e"
    write = lambda number: write_prompt("[filewords]", "<w>", caption, tags, (), (7, number))  # noqa: E731
    assert [write(k) for k in range(-5, 20)] == [write(k) for k in range(-5, 20)]
    assert len({write(k) for k in range(20)}) > 10
    assert write_prompt("[filewords]", "<w>", "a,  b", Tags(), (), (7, 0)) == "a,  b"


# --- shapes


def test_shapes_have_about_the_area_of_the_square():
    assert bucket_shapes(512, 64) == [
        (384, 640), (448, 576), (512, 512), (576, 448), (640, 384)
    ]  # fmt: skip
    for side, multiple in ((64, 16), (768, 64), (512, 64), (1024, 64)):
        for width, height in bucket_shapes(side, multiple):
            assert width % multiple == height % multiple == 0
            assert max(width, height) <= 2 * min(width, height)
            assert 0.7 * side**2 < width * height <= side**2


def test_a_picture_gets_the_shape_that_cuts_least():
    shapes = bucket_shapes(512, 64)
    assert nearest_shape((1000, 1000), shapes) == (512, 512)
    assert nearest_shape((1600, 1000), shapes) == (640, 384)
    assert nearest_shape((1000, 9000), shapes) == (384, 640)
    assert choose_shapes([(9, 1), (1, 1)], 512, 64, buckets=False) == [(512, 512)] * 2


def test_the_box_is_the_largest_in_the_middle():
    assert box_for((200, 100), (64, 64)) == (50, 0, 150, 100)
    assert box_for((100, 100), (640, 320)) == (0, 25, 100, 75)
    assert box_for((64, 64), (64, 64)) == (0, 0, 64, 64)
    for size in ((1059, 777), (333, 1000)):
        left, top, right, bottom = box_for(size, (640, 384))
        assert left >= 0 and top >= 0 and right <= size[0] and bottom <= size[1]
        assert (right - left) / (bottom - top) == pytest.approx(640 / 384)


def test_uneven_pictures_are_told_of(sd, tmp_path):
    examples = [Example(tmp_path / "a.png", "", size=(40, 30)), Example(tmp_path, "", size=(9, 9))]
    square = shapes_of(sd, Config(), examples)
    assert square == [(32, 32), (32, 32)]
    (note,) = note_of_shapes(examples, square, buckets=False)
    assert "1 of 2 pictures are not square (a.png)" in note
    buckets = shapes_of(sd, Config(buckets=True), examples)
    assert buckets == [(40, 24), (32, 32)]
    assert note_of_shapes(examples, buckets, buckets=True) == [
        "pictures by shape: 1 of 32 x 32, 1 of 40 x 24 px"
    ]
    with pytest.raises(UserError, match="multiples of 8"):
        shapes_of(sd, Config(resolution=30), examples)


# --- masks


def save_mask(path, values):
    Image.fromarray(np.asarray(values, dtype=np.uint8)).save(path)


def test_cells_weigh_as_much_of_them_as_the_mask_shows(sd, tmp_path):
    write_pictures(tmp_path, "a.png", size=(64, 64))
    mask = np.zeros((64, 64))
    mask[:, :36] = 255  # four and a half of the eight columns of cells
    save_mask(tmp_path / "a.mask.png", mask)
    weights = read_weights(sd, Example(tmp_path / "a.png", ""), (32, 32))
    expected = torch.tensor([1, 1, 1, 1, 0.5, 0, 0, 0]).expand(8, 8) / (4.5 / 8)
    torch.testing.assert_close(weights[0, 0], expected)
    assert torch.equal(weights[1], weights[0].flip(-1))
    assert weights.mean().item() == pytest.approx(1)


def test_a_mask_is_cut_as_its_picture_is(sd, tmp_path):
    write_pictures(tmp_path, "a.png", size=(64, 32))
    mask = np.zeros((32, 64))
    mask[:, 16:32] = 255  # the left half of the square in the middle
    save_mask(tmp_path / "other.png", mask)
    example = Example(tmp_path / "a.png", "", tmp_path / "other.png")
    weights = read_weights(sd, example, (32, 32))
    assert torch.equal(weights[0, 0], torch.tensor([2.0] * 4 + [0] * 4).expand(8, 8))


def test_transparency_is_a_mask_and_opacity_none(sd, tmp_path):
    pixels = np.full((32, 32, 4), 255, dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "opaque.png")
    assert read_weights(sd, Example(tmp_path / "opaque.png", ""), (32, 32)) is None
    pixels[16:, :, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "half.png")
    weights = read_weights(sd, Example(tmp_path / "half.png", ""), (32, 32))
    assert weights[0, 0, :4].eq(2).all() and weights[0, 0, 4:].eq(0).all()


def test_a_picture_that_is_masked_all_over_is_refused(sd, tmp_path):
    write_pictures(tmp_path, "a.png")
    save_mask(tmp_path / "a.mask.png", np.zeros((4, 4)))
    with pytest.raises(UserError, match=r"a\.png is masked all over"):
        read_weights(sd, Example(tmp_path / "a.png", ""), (32, 32))


# --- prompts


def checked(sd, captions, templates, **settings):
    config = Config(**({"word": "<w>"} | settings))
    sd = dataclasses.replace(sd, tokenizer=copy.deepcopy(sd.tokenizer), words={})
    words = prepare_words(sd, config)
    examples = [Example(Path(f"{k}.png"), caption) for k, caption in enumerate(captions)]
    return check_prompts(sd, words, config, examples, templates)


def test_prompts_without_a_word_are_refused(sd):
    assert checked(sd, ["a"], ["[name] [filewords]"]) == []
    assert checked(sd, ["a <w>", "<w>"], ["of [filewords]"]) == []
    with pytest.raises(UserError, match=r"'of b' \(of 1.png\) does not hold <w>"):
        checked(sd, ["<w>", "b"], ["of [filewords]"])
    with pytest.raises(UserError, match="does not hold doctor"):
        settings = {"word": "doctor", "overwrite": True}
        checked(sd, ["two doctors"], ["of [filewords]"], **settings)
    with pytest.raises(UserError, match="no caption or template holds <cat>"):
        checked(sd, ["a"], ["[name] [filewords]"], also=({"word": "<cat>"},))


def test_what_is_cut_is_told_and_a_cut_word_refused(sd):
    # this tokenizer has one token a letter; a prompt has 75
    long = "y" * 70
    (note,) = checked(sd, ["a", long], ["[name] [filewords]"], num_vectors=6)
    assert note.startswith("1 of 2 prompts are longer than 77 tokens") and "1.png, loses 'y" in note
    with pytest.raises(UserError, match="cuts <w>, a word of 6 vectors"):
        checked(sd, ["a", long], ["[filewords] [name]"], num_vectors=6)
    assert checked(sd, [long], ["[filewords] [name]"], num_vectors=5) == []


def test_what_previews_and_evaluation_lose_is_told(sd):
    drawn = {"previews": Previews(prompts=("y" * 60 + " [name]",))}
    (note,) = checked(sd, ["a"], ["[name] [filewords]"], num_vectors=16, **drawn)
    assert "does not see '<w> (1 of its 16 vectors)'" in note
    measured = Evaluate(pictures="x", subjects=("y" * 60, "z"), template="[filewords] [name]")
    (note,) = checked(sd, ["a"], ["[name] [filewords]"], num_vectors=16, evaluate=measured)
    assert "yy <w>' is longer" in note
