"""Corrections by hand: what they do, that they stay, and what is said about a wrong one."""

import json

import pytest

from cropping import job
from cropping.corrections import (
    Correction,
    around,
    read_corrections,
    said,
    widened,
    write_corrections,
)
from cropping.window import Box, largest
from lab.config import ConfigError
from lab.errors import UserError
from lab.workers import spread


def stamps(run):
    return {path: path.stat().st_mtime_ns for path in (run.folder / "images").glob("*.png")}


@pytest.mark.parametrize(
    "focus, box",
    [("[0, 0]", [0, 0, 60, 60]), ("[45, 30]", [15, 0, 75, 60]), ("[90, 60]", [30, 0, 90, 60])],
)
def test_a_focus_is_the_middle_as_far_as_the_picture_reaches(pictures, crop, lines, focus, box):
    (pictures / "corrections.yaml").write_text(f"1 a cat.png: {{focus: {focus}}}\n")
    line = lines(crop(pictures))[0]
    assert line["box"] == box
    assert (line["strategy"], line["reason"]) == ("by hand", "corrected by hand")


@pytest.mark.parametrize(
    "drawn, box",
    [
        ([10, 10, 40, 40], [10, 10, 40, 40]),
        ([10, 10, 40, 20], [10, 0, 40, 30]),  # widened, but not beyond the picture
        ([-10, 0, 50, 60], [-10, 0, 50, 60]),  # beyond it by hand: padded
        ([0, 0, 90, 60], [0, -15, 90, 75]),
    ],
)
def test_a_box_is_what_is_cut(pictures, crop, lines, drawn, box):
    (pictures / "corrections.yaml").write_text(f"1 a cat.png: {{boxes: [{drawn}]}}\n")
    line = lines(crop(pictures))[0]
    assert line["box"] == box
    is_padded = box[0] < 0 or box[1] < 0
    assert (line["kind"] == "pad") == (line["mask"] is not None) == is_padded


def test_several_boxes_are_several_crops_and_a_dropped_picture_is_none(pictures, crop, lines):
    (pictures / "corrections.yaml").write_text(
        "1 a cat.png:\n  boxes: [[0, 0, 50, 50], [40, 10, 90, 60]]\n  caption: two  cats\n"
        "nested/3 a bird.png: {drop: true}\n"
    )
    run = crop(pictures)
    assert [line["caption"] for line in lines(run)] == ["two cats", "two cats", "a dog"]
    assert [line["file"] for line in lines(run)][:2] == [
        "images/1 a cat tile 1.png",
        "images/1 a cat tile 2.png",
    ]
    assert lines(run)[0]["caption_from"] == "correction"
    assert any("3 a bird.png (by hand)" in note for note in run.notes)


def test_a_crop_has_its_own_caption_where_it_was_given_one(pictures, crop, lines):
    (pictures / "corrections.yaml").write_text(
        "1 a cat.png:\n  boxes: [[0, 0, 50, 50], [40, 10, 90, 60]]\n  captions: [' its  ear', '']\n"
    )
    run = crop(pictures)
    ear, rest = lines(run)[:2]
    assert (ear["caption"], ear["caption_from"]) == ("its ear", "correction")
    assert (rest["caption"], rest["caption_from"]) == ("a cat", "file name")
    assert (run.folder / "images" / "1 a cat tile 1.txt").read_text() == "its ear\n"


def test_a_strategy_and_parts_to_ignore(pictures, crop, lines):
    (pictures / "corrections.yaml").write_text(
        "1 a cat.png: {strategy: pad, ignore: [[0, 0, 45, 60]]}\n"
    )
    line = lines(crop(pictures))[0]
    assert (line["kind"], line["box"]) == ("pad", [0, -15, 90, 75])
    assert line["learned"] == pytest.approx(0.5 * 60 / 90, abs=0.02)


def test_only_what_is_corrected_is_cut_again(pictures, crop, lines):
    run = crop(pictures)
    before = stamps(run)
    (pictures / "corrections.yaml").write_text("2 a dog.png: {focus: [30, 80]}\n")
    after = stamps(crop(pictures))
    changed = {path.name for path in after if after[path] != before.get(path)}
    assert changed == {"2 a dog.png"}
    fresh = crop(pictures, "fresh")
    for path in (run.folder / "images").iterdir():
        assert path.read_bytes() == (fresh.folder / "images" / path.name).read_bytes()
    assert lines(run)[1]["box"] == [0, 30, 60, 90]


def test_work_that_is_there_starts_no_workers(pictures, crop, monkeypatch):
    asked = []

    def counted(function, items, workers):
        asked.append((len(items), workers))
        return spread(function, items, 1)

    monkeypatch.setattr(job, "spread", counted)
    crop(pictures, workers=2)
    (pictures / "corrections.yaml").write_text("2 a dog.png: {focus: [30, 80]}\n")
    crop(pictures, workers=2)
    assert asked == [(3, 2), (1, 1)]


@pytest.mark.parametrize(
    "text, place, words",
    [
        ("1 a cta.png: {drop: true}", "1:1", "did you mean 1 a cat.png"),
        ("1 a cat.png:\n  focsu: [1, 2]", "2:3", "did you mean focus"),
        ("1 a cat.png:\n  focus: [1, 2]\n  strategy: pad", "1:1", "focus and strategy"),
        ("1 a cat.png:\n  focus: [400, 2]", "2:10", "outside the picture, which has 90 x 60 px"),
        ("1 a cat.png:\n  boxes:\n  - [0, 0, 9, 9]\n  - [95, 0, 99, 9]", "4:5", "outside"),
        ("1 a cat.png: {boxes: [[9, 0, 3, 9]]}", "1:1", "nothing in it"),
        ("1 a cat.png: {captions: [a, b]}", "1:1", "2 captions for 0 boxes"),
        ("1 a cat.png: [", "2:1", "not valid YAML"),
    ],
)
def test_a_mistake_is_told_with_its_line_before_anything_is_written(
    tmp_path, pictures, crop, text, place, words
):
    (pictures / "corrections.yaml").write_text(text + "\n")
    with pytest.raises(ConfigError) as caught:
        crop(pictures)
    assert f"corrections.yaml:{place}: " in str(caught.value), str(caught.value)
    assert words in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_named_has_to_be_there(tmp_path, pictures, crop, lines):
    with pytest.raises(UserError, match=r"cropping\.corrections: .*mine\.yaml does not exist"):
        crop(pictures, corrections=str(tmp_path / "mine.yaml"))
    (tmp_path / "mine.yaml").write_text("2 a dog.png: {caption: a wolf}\n")
    run = crop(pictures, corrections=str(tmp_path / "mine.yaml"))
    assert lines(run)[1]["caption"] == "a wolf"


ENTRIES = {
    "1 a cat.png": Correction(focus=(10.5, 20), caption="no"),
    "nested/3 a: bird #2.png": Correction(
        boxes=((0, 0, 30, 30), (5, 5, 20, 20)), captions=("", "b"), damage=False
    ),
    "'quoted' – ünï.jpg": Correction(strategy="tiles", ignore=((1, 2, 3, 4),), caption="8"),
    "2.png": Correction(drop=True, caption=""),
    "x" * 180 + ".png": Correction(caption="a [cat], {a dog}: 'both' \\\"x\\\" # &*!"),
}


def test_what_a_program_writes_is_read_as_it_was_meant(tmp_path):
    file = tmp_path / "corrections.yaml"
    write_corrections(file, ENTRIES | {"left as it is.png": Correction()})
    known = {name: tmp_path / name for name in ENTRIES}
    assert read_corrections(file, known) == ENTRIES
    write_corrections(file, {})
    assert read_corrections(file, known) == {}
    with pytest.raises(UserError, match="rename the picture"):
        write_corrections(file, {"a\udcff.png": Correction(drop=True)})


def test_a_record_says_by_which_correction_it_was_made(pictures, crop):
    file = pictures / "corrections.yaml"
    file.write_text("1 a cat.png: {boxes: [[0, 0, 30, 30]]}\n2 a dog.png: {caption: a wolf}\n")
    run = crop(pictures)
    records = {
        json.loads(path.read_text())["name"]: json.loads(path.read_text())["correction"]
        for path in (run.folder / "sources").glob("*.json")
    }
    entries = read_corrections(file, {name: pictures / name for name in records})
    assert records.pop("nested/3 a bird.png") is None
    assert records == {name: said(entry) for name, entry in entries.items()}


@pytest.mark.parametrize("aspect", [1.0, 2.4, 320 / 768, 1.2, 448 / 576])
@pytest.mark.parametrize("picture", [(1000, 700), (333, 1001), (64, 64), (1417, 590)])
def test_a_rectangle_that_fits_is_not_changed_again(picture, aspect):
    width, height = largest(picture, aspect)
    for focus in ((0, 0), (picture[0] / 3, picture[1] / 2), picture):
        box = around(focus, picture, aspect)
        assert (box.width, box.height) == (width, height)
        middle = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
        assert around(middle, picture, aspect) == box
        once = widened(Box(box.x0 + 3, box.y0 + 2, box.x1 - 9, box.y1 - 11), picture, aspect)
        assert widened(once, picture, aspect) == once
