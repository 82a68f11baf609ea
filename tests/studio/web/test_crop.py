"""The tab Crop without its page: forms, run folders, corrections."""

import json
import zipfile
from dataclasses import fields, replace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from cropping import job
from cropping.config import Config
from cropping.corrections import Correction, read_corrections
from cropping.window import Box
from lab.config import load_experiment
from lab.errors import UserError
from lab.run import Run
from studio import cli
from studio.web import crop_work as work
from studio.web.bench import Bench
from studio.web.crop_board import Thumbnails
from studio.web.crop_edits import change, cut_by, edited, file_of
from studio.web.crop_form import (
    Form,
    experiment_of,
    folders_of,
    form_from,
    form_of,
    take_in,
)
from studio.web.crop_read import ON_A_PAGE, order_of, page_of, read_crops
from studio.web.crop_show import Window, look, refused, updates
from studio.web.places import Places
from studio.web.queue import Queue


def draw(path, seed: int, size=(90, 60)) -> None:
    """A dark square on a light ground, somewhere."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(int(v) for v in rng.integers(120, 255, 3)))
    x, y = (int(rng.integers(0, side - 24)) for side in size)
    image.paste(tuple(int(v) for v in rng.integers(0, 120, 3)), (x, y, x + 24, y + 24))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture
def bench(tmp_path) -> Bench:
    """A bench whose queue takes work and does none: `cut` does it."""
    readable, outputs = tmp_path / "pictures", tmp_path / "outputs"
    draw(readable / "1 a cat.png", 0)
    draw(readable / "2 a dog.png", 1, (60, 90))
    draw(readable / "nested" / "3 a bird.png", 2)
    places = Places([readable], outputs)
    return Bench(outputs, places, Queue(outputs, places))


def form(bench: Bench, **values) -> Form:
    plain = Form(source=str(bench.places.roots[0]), name="one", way="crop", size=48, damage="leave")
    return replace(plain, **values)


def cut(bench: Bench, name: str) -> Run:
    """Do what waits in the queue for a run, as the terminal would."""
    experiment = load_experiment(
        bench.outputs / ".studio" / f"{name}.yaml", [], cli.models(cli.JOBS)
    )
    record = {"configuration": experiment.resolved}
    config = experiment.sections["cropping"]
    assert isinstance(config, Config)
    with Run(bench.outputs, name, "cropping", record) as run:
        for _ in job.run(config, run):
            pass
    for standing in bench.queue.all():
        bench.queue.stop(standing.id)
    return run


def crops_of(bench: Bench, name: str = "one"):
    found = read_crops(bench.folder(name, "cropping"))
    assert found is not None
    return found


def boxes(run: Run) -> dict[str, list[list[int]]]:
    found: dict[str, list[list[int]]] = {}
    for line in (run.folder / "crops.jsonl").read_text().splitlines():
        found.setdefault(json.loads(line)["source"].rsplit("/", 1)[1], []).append(
            json.loads(line)["box"]
        )
    return found


# --- the form


@pytest.mark.parametrize("way", ["automatic", "crop", "tiles", "whole"])
@pytest.mark.parametrize("damage", ["mask", "repair", "leave"])
def test_a_run_that_is_made_again_has_the_same_settings(bench, way, damage):
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


def test_the_form_is_what_a_file_would_say(bench):
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
def test_bad_input_is_a_sentence_and_leaves_no_trace(bench, field, value):
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


def test_links_that_lead_out_are_not_followed(bench, tmp_path):
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


def test_dropped_pictures_are_copied_once_each_and_nothing_else_is(tmp_path):
    draw(tmp_path / "a" / "x.png", 0)
    draw(tmp_path / "b" / "x.png", 1)
    (tmp_path / "a" / "x.txt").write_text("words")
    (tmp_path / "a" / "evil.sh").write_text("#!/bin/sh")
    files = [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png", tmp_path / "a" / "x.txt",
             tmp_path / "a" / "evil.sh", tmp_path / "a" / "x.png"]  # fmt: skip
    assert take_in(files, tmp_path / "into") == ["evil.sh"]
    assert {path.name for path in (tmp_path / "into").iterdir()} == {"x.png", "x (2).png", "x.txt"}


def test_folders_to_choose_from_hold_pictures_and_are_no_results(bench):
    draw(bench.outputs / "old" / "cropping" / "images" / "1.png", 0)
    root = bench.places.roots[0]
    assert folders_of(bench.places) == [str(root), str(root / "nested")]


# --- corrections


@pytest.mark.parametrize(
    "box", [[7, 3, 47, 43], [0, 0, 60, 60], [31, 0, 90, 59], [-5, -20, 85, 70]]
)
def test_a_dragged_rectangle_is_cut_to_the_pixel_and_stays(bench, box):
    name = work.begin(bench, form(bench))
    cut(bench, name)
    crops = crops_of(bench)
    asked = {"run": name, "name": "1 a cat.png", "do": "boxes", "boxes": [box]}
    entry = work.edit(bench, name, crops, asked)
    assert cut_by(entry, (90, 60), (48, 48)) == [box]
    waiting = crops_of(bench)
    assert (waiting.waiting, waiting.card("1 a cat.png").boxes) == (1, (tuple(box),))
    run = cut(bench, name)
    assert boxes(run)["1 a cat.png"] == [box]
    assert crops_of(bench).waiting == 0
    work.begin(bench, form(bench, prefix="a print of"))  # other settings, the same correction
    run = cut(bench, name)
    assert boxes(run)["1 a cat.png"] == [box]


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
def test_an_edit_that_cannot_be_is_a_sentence_and_changes_nothing(bench, edit):
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


def test_ways_captions_and_leaving_out(bench):
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


def test_corrections_that_lie_beside_the_pictures_hold_and_stay_as_they_are(bench):
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


def test_a_picture_that_is_gone_takes_its_correction_with_it(bench):
    name = work.begin(bench, form(bench))
    cut(bench, name)
    asked = {"run": name, "name": "2 a dog.png", "do": "caption", "caption": "a wolf"}
    work.edit(bench, name, crops_of(bench), asked)
    cut(bench, name)
    (bench.places.roots[0] / "2 a dog.png").unlink()
    work.begin(bench, form(bench))
    assert set(boxes(cut(bench, name))) == {"1 a cat.png", "3 a bird.png"}


def test_two_runs_of_the_same_pictures_do_not_disturb_each_other(bench):
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


# --- what is shown, and taken along


def test_the_worst_come_first_and_pages_end(bench):
    folder = bench.places.roots[0]
    for k in range(ON_A_PAGE):
        draw(folder / f"{k + 4} a thing.png", k + 4)
    name = work.begin(bench, form(bench))
    cut(bench, name)
    crops = crops_of(bench)
    order = order_of(crops, "all")
    lost = [crops.card(one).lost for one in order]
    assert lost == sorted(lost, reverse=True) and len(order) == ON_A_PAGE + 3
    first, at, pages = page_of(crops, order, -5)
    last, end, _ = page_of(crops, order, 99)
    assert (at, end, pages, len(first), len(last)) == (0, 1, 2, ON_A_PAGE, 3)
    assert {card.name for card in (*first, *last)} == set(order)
    warned = order_of(crops, "warnings")
    assert set(warned) == {card.name for card in crops.cards if card.is_warned}


def test_the_zip_is_the_finished_data_set(bench):
    name = work.begin(bench, form(bench, way="whole"))
    with pytest.raises(UserError, match="still being cut"):
        work.pack(bench, name)
    run = cut(bench, name)
    first = work.pack(bench, name).read_bytes()
    with zipfile.ZipFile(work.pack(bench, name)) as archive:
        assert archive.testzip() is None
        inside = {entry: archive.read(entry) for entry in archive.namelist()}
    images = {f"one/{path.name}": path.read_bytes() for path in (run.folder / "images").iterdir()}
    assert inside == images
    assert {
        "one/1 a cat.png",
        "one/1 a cat.txt",
        "one/1 a cat-masklabel.png",
        "one/metadata.jsonl",
    } < set(inside)
    assert work.pack(bench, name).read_bytes() == first
    asked = {"run": name, "name": "1 a cat.png", "do": "way", "way": "focal"}
    work.edit(bench, name, crops_of(bench), asked)
    with pytest.raises(UserError, match="still being cut"):
        work.pack(bench, name)


def test_a_link_in_the_results_leads_nowhere(bench, tmp_path):
    name = work.begin(bench, form(bench))
    cut(bench, name)
    (bench.outputs / "one" / "out").symlink_to(tmp_path)
    asked = {"run": name, "name": "1 a cat.png", "do": "way", "way": "drop"}
    with pytest.raises(UserError, match="leads out"):
        work.edit(bench, name, crops_of(bench), asked)


# --- what a window looks at


def test_edits_of_a_run_wait_for_each_other_and_move_no_picture(bench):
    name = work.begin(bench, form(bench))
    cut(bench, name)
    thumbnails = Thumbnails(bench.places)
    window = look(bench, thumbnails, Window(run=name), anew=True).window
    asked = {"run": name, "name": "1 a cat.png", "do": "boxes", "boxes": [[0, 0, 20, 20]]}
    work.edit(bench, name, crops_of(bench), asked)
    work.edit(bench, name, crops_of(bench), asked | {"boxes": [[5, 5, 30, 30]]})
    assert [standing.status for standing in bench.queue.all()].count("waiting") == 1
    assert boxes(cut(bench, name))["1 a cat.png"] == [[5, 5, 30, 30]]
    seen = look(bench, thumbnails, window)
    assert seen.is_finished and seen.window.order == window.order
    assert seen.value["cards"][list(window.order).index("1 a cat.png")]["boxes"] == (
        (5, 5, 30, 30),
    )


def test_what_came_while_a_run_was_made_is_cut_afterwards_and_asked_for_once(bench):
    name = work.begin(bench, form(bench))
    cut(bench, name)
    later = Bench(bench.outputs, bench.places, Queue(bench.outputs, bench.places))
    file = file_of(bench.folder(name, "cropping"))
    change(file, "1 a cat.png", {"do": "boxes", "boxes": [[5, 5, 30, 30]]}, (90, 60), (48, 48))
    window = look(later, Thumbnails(later.places), Window(run=name)).window
    for _ in range(3):
        assert [standing.name for standing in later.queue.all()] == [name]
        later.queue.stop(later.queue.all()[0].id)
        window = look(later, Thumbnails(later.places), window).window


def test_runs_of_pictures_that_may_not_be_read_are_not_shown(bench, tmp_path):
    draw(tmp_path / "private" / "1.png", 0)
    config = Config(source=str(tmp_path / "private"), size=16)
    record = {"configuration": {"name": "one", "cropping": config.model_dump(mode="json")}}
    with Run(bench.outputs, "one", "cropping", record) as run:
        for _ in job.run(config, run):
            pass
    seen = look(bench, Thumbnails(bench.places), Window(run="one"))
    assert "outside of the folders" in seen.summary and seen.value["cards"] == []
    with pytest.raises(UserError, match="outside"):
        work.pack(bench, "one")


def test_a_source_that_is_gone_is_said_once(bench):
    name = work.begin(bench, form(bench))
    cut(bench, name)
    bench.places.roots[0].rename(bench.places.roots[0].with_name("elsewhere"))
    seen = look(bench, Thumbnails(bench.places), Window(run=name))
    assert "does not exist" in seen.summary and not seen.active


def test_a_refused_edit_puts_the_browser_back(bench):
    name = work.begin(bench, form(bench))
    cut(bench, name)
    seen = look(bench, Thumbnails(bench.places), Window(run=name), anew=True)
    shown = updates(seen, Window())
    assert shown[1]["cards"] and updates(seen, shown[0])[1] == gr.skip()
    again = refused(seen, shown[0])
    assert again[1]["cards"] == shown[1]["cards"] and again[1] != shown[1]
