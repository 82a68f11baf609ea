"""The tab Crop without its page: what is shown of a run, and taken along."""

import zipfile

import gradio as gr
import pytest

from cropping import job
from cropping.config import Config
from lab.errors import UserError
from lab.run import Run
from studio.web.bench import Bench
from studio.web.crop import work
from studio.web.crop.board import Thumbnails
from studio.web.crop.edits import change, file_of
from studio.web.crop.read import ON_A_PAGE, order_of, page_of, read_crops
from studio.web.crop.show import Window, look, refused, updates
from studio.web.queue import Queue


def test_the_worst_come_first_and_pages_end(bench, draw, form, cut, crops_of):
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


def test_the_zip_is_the_finished_data_set(bench, form, cut, crops_of):
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


def test_a_link_in_the_results_leads_nowhere(bench, tmp_path, form, cut, crops_of):
    name = work.begin(bench, form(bench))
    cut(bench, name)
    (bench.outputs / "one" / "out").symlink_to(tmp_path)
    asked = {"run": name, "name": "1 a cat.png", "do": "way", "way": "drop"}
    with pytest.raises(UserError, match="leads out"):
        work.edit(bench, name, crops_of(bench), asked)


# --- what a window looks at


def test_edits_of_a_run_wait_for_each_other_and_move_no_picture(bench, form, cut, crops_of, boxes):
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


def test_what_came_while_a_run_was_made_is_cut_afterwards_and_asked_for_once(bench, form, cut):
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


def test_runs_of_pictures_that_may_not_be_read_are_not_shown(bench, tmp_path, draw):
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


def test_a_source_that_is_gone_is_said_once(bench, form, cut):
    name = work.begin(bench, form(bench))
    cut(bench, name)
    bench.places.roots[0].rename(bench.places.roots[0].with_name("elsewhere"))
    seen = look(bench, Thumbnails(bench.places), Window(run=name))
    assert "does not exist" in seen.summary and not seen.active


def test_a_refused_edit_puts_the_browser_back(bench, form, cut):
    name = work.begin(bench, form(bench))
    cut(bench, name)
    seen = look(bench, Thumbnails(bench.places), Window(run=name), anew=True)
    shown = updates(seen, Window())
    assert shown[1]["cards"] and updates(seen, shown[0])[1] == gr.skip()
    again = refused(seen, shown[0])
    assert again[1]["cards"] == shown[1]["cards"] and again[1] != shown[1]


def test_what_is_doubtful_is_said_in_few_words(bench, form, cut, crops_of):
    root = bench.places.roots[0]
    (root / "4 again.png").write_bytes((root / "1 a cat.png").read_bytes())
    (root / "5 broken.png").write_bytes(b"no picture")
    name = work.begin(bench, form(bench, size=128))
    cut(bench, name)
    crops = crops_of(bench)
    assert ("warn", "looks like 1 a cat.png") in crops.card("4 again.png").badges
    assert ("warn", "too small, enlarged 2.1×") in crops.card("1 a cat.png").badges
    assert len(crops.problems) == 1 and "5 broken.png" in crops.problems[0]
    assert all(card.name != "5 broken.png" for card in crops.cards)
    folder = bench.folder(name, "cropping")
    (folder / "crops.jsonl").unlink()  # as while the run is being made again
    meanwhile = read_crops(folder, crops)
    assert meanwhile is not None and meanwhile.cards == crops.cards
    work.begin(bench, form(bench, size=128, twice=True))
    cut(bench, name)
    again = crops_of(bench).card("4 again.png")
    assert ("out", "left out: like 1 a cat.png") in again.badges and again.is_out
    assert order_of(crops_of(bench), "out") == ["4 again.png"]
