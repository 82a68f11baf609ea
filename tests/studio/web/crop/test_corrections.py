"""The tab Crop without its page: forms become runs, edits become corrections."""

import json
from dataclasses import fields, replace

import pytest

from cropping.config import Config
from cropping.corrections import Correction, read_corrections
from cropping.window import Box
from lab.errors import UserError
from studio.web.crop import work
from studio.web.crop.edits import cut_by, edited, file_of
from studio.web.crop.form import (
    Form,
    experiment_of,
    folders_of,
    form_from,
    form_of,
    take_in,
)


@pytest.mark.parametrize("way", ["automatic", "crop", "tiles", "whole"])
@pytest.mark.parametrize("damage", ["mask", "repair", "leave"])
def test_a_run_that_is_made_again_has_the_same_settings(bench, way, damage, form):
    rest = {"workers": 3, "strict": True, "most_lost": 0.2, "captions": {"joiner": "_"}}
    one = form(bench, way=way, damage=damage, twice=True, prefix="a print,", fill="blur", rest=rest)
    first = experiment_of(one, bench.outputs / "c.yaml")
    resolved = {"name": "one", "cropping": Config.model_validate_json(
        json.dumps(first["cropping"])).model_dump(mode="json")}  # fmt: skip
    again = experiment_of(form_of(resolved, bench.outputs), bench.outputs / "c.yaml")
    assert Config.model_validate_json(json.dumps(again["cropping"])) == Config.model_validate_json(
        json.dumps(first["cropping"])
    )
    assert again["name"] == "one"


def test_the_form_is_what_a_file_would_say(bench, form):
    section = experiment_of(form(bench, twice=True, blank=True), bench.outputs / "c")["cropping"]
    config = Config.model_validate_json(json.dumps(section))
    assert (config.size, config.pad, config.tiles, config.scans.find) == (48, "never", False, ())
    assert (config.drop_duplicates, config.drop_blank) == (6, 3.0)


BAD = {
    "source": ["/etc", "../..", "no such folder", "pictures\x00", "~root", "x" * 5000],
    "name": ["../one", "a/b", ".hidden", "/tmp/x", "nul\x00", "x" * 300, "two\nlines"],
    "way": ["sideways"],
    "size": [None, 0, -8, 500.5, 513, 1e9, True, "512"],
    "fill": ["glitter"],
    "sidecar": ["maybe"],
    "damage": [],
    "detector": ["/etc/passwd", "../../x.onnx", "missing.onnx"],
    "rest": [{"captions": 5}, {"learning_rate": 1}, {"scans": {"find": ["dust"]}}],
}


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in BAD.items() for v in values])
def test_bad_input_is_a_sentence_and_leaves_no_trace(bench, field, value, form):
    with pytest.raises(UserError) as caught:
        work.begin(bench, form(bench, **{"damage": "mask", field: value}))
    assert len(str(caught.value)) > 10 and "Traceback" not in str(caught.value)
    assert not (bench.outputs / "one").exists()
    assert bench.queue.all() == []


@pytest.mark.parametrize("field", [one.name for one in fields(Form) if one.name != "size"])
def test_what_no_component_would_hold_is_refused(field):
    values = [object() if one.name == field else getattr(Form(), one.name) for one in fields(Form)]
    with pytest.raises(UserError):
        form_from(values)
    empty = [None for _ in fields(Form)]
    assert form_from(empty) == replace(Form(), size=None)


def test_links_that_lead_out_are_not_followed(bench, tmp_path, draw, form):
    secret = tmp_path / "secret"
    draw(secret / "4.png", 4)
    (secret / "words.txt").write_text("a secret")
    folder = bench.places.roots[0]
    for link, target in (("4.png", secret / "4.png"), ("1 a cat.txt", secret / "words.txt"),
                         ("further", secret)):  # fmt: skip
        (folder / link).symlink_to(target)
        with pytest.raises(UserError, match="outside of the folders"):
            work.begin(bench, form(bench))
        (folder / link).unlink()
    work.begin(bench, form(bench))


def test_dropped_pictures_are_copied_once_each_and_nothing_else_is(tmp_path, draw):
    draw(tmp_path / "a" / "x.png", 0)
    draw(tmp_path / "b" / "x.png", 1)
    (tmp_path / "a" / "x.txt").write_text("words")
    (tmp_path / "a" / "evil.sh").write_text("#!/bin/sh")
    files = [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png", tmp_path / "a" / "x.txt",
             tmp_path / "a" / "evil.sh", tmp_path / "a" / "x.png"]  # fmt: skip
    assert take_in(files, tmp_path / "into") == ["evil.sh"]
    assert {path.name for path in (tmp_path / "into").iterdir()} == {"x.png", "x (2).png", "x.txt"}


def test_a_name_is_proposed_anew_for_other_pictures_and_a_typed_one_stays(bench, form, cut):
    folder = bench.places.roots[0]
    nested, drops = folder / "nested", work.drop_folder(bench, "window")
    assert work.name_for(bench, folder, "", "") == "pictures"
    assert work.name_for(bench, nested, "pictures", "pictures") == "nested"
    assert work.name_for(bench, drops, "pictures", "pictures") == "crops"
    assert work.name_for(bench, nested, "mine", "pictures") == "mine"
    assert work.name_for(bench, nested, "../no name", "pictures") == "../no name"
    cut(bench, work.begin(bench, form(bench, name="pictures")))
    assert work.name_for(bench, folder, "pictures", "pictures") == "pictures"
    assert work.name_for(bench, nested, "pictures", "") == "nested"
    assert work.name_for(bench, folder, "", "pictures") == "pictures-2"


def test_what_was_chosen_is_seen_and_nothing_beyond_it(bench, tmp_path, draw):
    folder = bench.places.roots[0]
    assert work.chosen(bench, " ") == ""
    shown = work.chosen(bench, str(folder))
    assert "3 pictures<" in shown and shown.count("<img") == 3 and 'alt="1 a cat.png"' in shown
    (folder / "4 no picture.png").write_text("words")
    shown = work.chosen(bench, str(folder))
    assert "4 pictures<" in shown and shown.count("<img") == 3
    draw(tmp_path / "secret" / "5.png", 4)
    for link, target in (("5.png", "secret/5.png"), ("out", "secret")):
        (folder / link).symlink_to(tmp_path / target)
        with pytest.raises(UserError, match="outside of the folders"):
            work.chosen(bench, str(folder))
        (folder / link).unlink()
    for k in range(6, 30):
        draw(folder / "nested" / f"{k}.png", k)
    assert work.chosen(bench, str(folder / "nested")).count("<img") == 8


def test_folders_to_choose_from_hold_pictures_and_are_no_results(bench, draw):
    draw(bench.outputs / "old" / "cropping" / "images" / "1.png", 0)
    root = bench.places.roots[0]
    assert folders_of(bench.places) == [str(root), str(root / "nested")]


# --- corrections


def test_a_dragged_rectangle_is_cut_to_the_pixel_and_stays(bench, form, cut, crops_of, boxes):
    name = work.begin(bench, form(bench))
    cut(bench, name)
    dragged = {"1 a cat.png": [7, 3, 47, 43], "2 a dog.png": [0, 30, 60, 90],
               "nested/3 a bird.png": [0, -20, 90, 70]}  # fmt: skip
    for picture, box in dragged.items():
        asked = {"run": name, "name": picture, "do": "boxes", "boxes": [box]}
        entry = work.edit(bench, name, crops_of(bench), asked)
        assert cut_by(entry, crops_of(bench).card(picture).size, (48, 48)) == [box]
        assert crops_of(bench).card(picture).boxes == (tuple(box),)
    assert crops_of(bench).waiting == 3
    expected = {picture.rsplit("/", 1)[-1]: [box] for picture, box in dragged.items()}
    assert boxes(cut(bench, name)) == expected
    assert crops_of(bench).waiting == 0
    work.begin(bench, form(bench, prefix="a print of"))  # other settings, the same corrections
    assert boxes(cut(bench, name)) == expected


def test_the_largest_rectangle_is_a_focus_and_holds_for_other_shapes():
    entry = edited(Correction(), {"do": "boxes", "boxes": [[17, 0, 77, 60]]}, (90, 60), (48, 48))
    assert (entry.focus, entry.boxes) == ((47, 30), None)
    assert cut_by(entry, (90, 60), (64, 32)) == [[0, 8, 90, 53]]


def test_rectangles_of_buckets_are_cut_as_they_are_shown():
    picture, out = (1000, 700), (768, 320)
    for x in range(0, 500, 37):
        drawn = [x, 100, x + 480 + x % 7, 300]
        entry = edited(Correction(), {"do": "boxes", "boxes": [drawn]}, picture, out)
        assert entry.boxes is not None
        assert cut_by(entry, picture, out) == [list(entry.boxes[0])]
        assert Box(*entry.boxes[0]).width >= drawn[2] - drawn[0]


@pytest.mark.parametrize(
    "edit",
    [
        {"do": "boxes", "boxes": [[0, 0, 1e9, 1e9]]},
        {"do": "boxes", "boxes": [[0, 0, 9.5, 9]]},
        {"do": "boxes", "boxes": [[9, 9, 3, 3]]},
        {"do": "boxes", "boxes": [[200, 0, 260, 60]]},
        {"do": "boxes", "boxes": [[-400, -400, 400, 400]]},
        {"do": "boxes", "boxes": []},
        {"do": "boxes", "boxes": "all"},
        {"do": "boxes", "boxes": [[0, 0, 9, 9]] * 99},
        {"do": "boxes"},
        {"do": "boxes", "boxes": [[0, 0, 30, 30], [30, 0, 60, 30]], "captions": ["one"]},
        {"do": "boxes", "boxes": [[0, 0, 30, 30]], "captions": [7]},
        {"do": "boxes", "boxes": [[0, 0, 30, 30]], "captions": "ab"},
        {"do": "way", "way": "__class__"},
        {"do": "way"},
        {"do": "caption", "caption": 7},
        {"do": "caption", "caption": "long " * 1000},
        {"do": "caption", "caption": "a\x00b"},
        {"do": "explode"},
        {},
    ],
    ids=str,
)
def test_an_edit_that_cannot_be_is_a_sentence_and_changes_nothing(bench, edit, form, cut, crops_of):
    name = work.begin(bench, form(bench))
    cut(bench, name)
    before = file_of(bench.folder(name, "cropping")).read_bytes()
    for asked in ({"run": name, "name": "1 a cat.png", **edit}, edit, None, [1], "x"):
        with pytest.raises(UserError) as caught:
            work.edit(bench, name, crops_of(bench), asked)
        assert len(str(caught.value)) > 10
    for picture in ("../1 a cat.png", "/etc/passwd", "nobody.png", ""):
        asked = {"run": name, "name": picture, "do": "way", "way": "drop"}
        with pytest.raises(UserError, match="no picture"):
            work.edit(bench, name, crops_of(bench), asked)
    assert file_of(bench.folder(name, "cropping")).read_bytes() == before


def test_ways_captions_and_leaving_out(bench, form, cut, crops_of, boxes):
    name = work.begin(bench, form(bench, prefix="a print of"))
    cut(bench, name)

    def do(picture: str, **edit):
        work.edit(bench, name, crops_of(bench), {"run": name, "name": picture, **edit})

    do("1 a cat.png", do="caption", caption=" two  cats – 'quoted': yes ")
    do("1 a cat.png", do="way", way="pad")
    do("2 a dog.png", do="way", way="drop")
    do("nested/3 a bird.png", do="caption", caption="")
    run = cut(bench, name)
    crops = crops_of(bench)
    cat, dog = crops.card("1 a cat.png"), crops.card("2 a dog.png")
    bird = crops.card("nested/3 a bird.png")
    assert (cat.caption, cat.way) == ("two cats – 'quoted': yes", "pad")
    assert cat.boxes == ((0, -15, 90, 75),)
    text = (run.folder / "images" / "1 a cat.txt").read_text()
    assert text == "a print of two cats – 'quoted': yes\n"
    assert (dog.way, dog.is_out, crops.waiting) == ("drop", True, 0)
    assert bird.caption == "" and "2 a dog.png" not in boxes(run)
    do("2 a dog.png", do="way", way="keep")
    assert crops_of(bench).card("2 a dog.png").waits
    assert "2 a dog.png" in boxes(cut(bench, name))


def test_tiles_have_captions_of_their_own_where_they_were_given_one(bench, form, cut, crops_of):
    name = work.begin(bench, form(bench, prefix="a print of"))
    cut(bench, name)

    def do(boxes: list, captions: list[str]):
        asked = {"run": name, "name": "1 a cat.png", "do": "boxes", "boxes": boxes}
        work.edit(bench, name, crops_of(bench), asked | {"captions": captions})
        folder = cut(bench, name).folder / "images"
        texts = [path.read_text() for path in sorted(folder.glob("1 a cat*.txt"))]
        return crops_of(bench).card("1 a cat.png"), texts

    two = [[0, 0, 40, 40], [40, 10, 90, 60]]
    card, texts = do(two, ["", " an  ear "])
    assert (card.caption, card.captions) == ("a cat", ("", "an ear"))
    assert texts == ["a print of a cat\n", "a print of an ear\n"]
    card, texts = do(two, ["its tail", "an ear"])
    assert (card.caption, card.captions) == ("", ("its tail", "an ear"))
    assert texts == ["a print of its tail\n", "a print of an ear\n"]
    card, texts = do(two[1:], ["an ear"])  # the last of them is the picture's
    assert (card.caption, card.captions) == ("an ear", ())
    card, texts = do(two, ["", ""])
    assert (card.captions, texts) == ((), ["a print of an ear\n"] * 2)


def test_no_caption_is_said_where_neither_picture_nor_tile_has_one(bench, form, cut, crops_of):
    name = work.begin(bench, form(bench))
    cut(bench, name)
    two = [[0, 0, 40, 40], [40, 10, 90, 60]]
    for edit, warned in (
        ({"do": "caption", "caption": ""}, True),
        ({"do": "boxes", "boxes": two, "captions": ["", "an ear"]}, False),
        ({"do": "boxes", "boxes": two}, True),
    ):
        work.edit(bench, name, crops_of(bench), {"run": name, "name": "1 a cat.png", **edit})
        assert (("warn", "no caption") in crops_of(bench).card("1 a cat.png").badges) == warned


def test_corrections_beside_the_pictures_hold_and_stay(bench, form, cut, crops_of, boxes):
    beside = bench.places.roots[0] / "corrections.yaml"
    beside.write_text("1 a cat.png: {focus: [45, 30]}  # mine\n")
    name = work.begin(bench, form(bench))
    assert boxes(cut(bench, name))["1 a cat.png"] == [[15, 0, 75, 60]]
    asked = {"run": name, "name": "2 a dog.png", "do": "caption", "caption": "a wolf"}
    work.edit(bench, name, crops_of(bench), asked)
    assert beside.read_text() == "1 a cat.png: {focus: [45, 30]}  # mine\n"
    file = file_of(bench.folder(name, "cropping"))
    entries = read_corrections(file, dict.fromkeys(("1 a cat.png", "2 a dog.png"), file))
    assert entries == {
        "1 a cat.png": Correction(focus=(45, 30)),
        "2 a dog.png": Correction(caption="a wolf"),
    }


def test_a_picture_that_is_gone_takes_its_correction_with_it(bench, form, cut, crops_of, boxes):
    name = work.begin(bench, form(bench))
    cut(bench, name)
    asked = {"run": name, "name": "2 a dog.png", "do": "caption", "caption": "a wolf"}
    work.edit(bench, name, crops_of(bench), asked)
    cut(bench, name)
    (bench.places.roots[0] / "2 a dog.png").unlink()
    work.begin(bench, form(bench))
    assert set(boxes(cut(bench, name))) == {"1 a cat.png", "3 a bird.png"}


def test_two_runs_of_the_same_pictures_do_not_disturb_each_other(bench, form, cut, crops_of, boxes):
    one, two = work.begin(bench, form(bench)), work.begin(bench, form(bench, name="two"))
    cut(bench, one)
    before = boxes(cut(bench, two))
    asked = {"run": one, "name": "1 a cat.png", "do": "boxes", "boxes": [[0, 0, 20, 20]]}
    work.edit(bench, one, crops_of(bench, one), asked)
    with pytest.raises(UserError, match="another run"):
        work.edit(bench, two, crops_of(bench, two), asked)
    assert boxes(cut(bench, one))["1 a cat.png"] == [[0, 0, 20, 20]]
    work.begin(bench, form(bench, name="two"))
    assert boxes(cut(bench, two)) == before
    other = bench.places.roots[0] / "nested"
    with pytest.raises(UserError, match="made of other pictures"):
        work.begin(bench, form(bench, source=str(other)))
