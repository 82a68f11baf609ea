"""What a studio removes when it starts, and what it keeps."""

import os
import time

import pytest

from lab.run import write_json
from studio.web.leftovers import remove_leftovers
from studio.web.places import Places

DAYS = 86_400


@pytest.fixture
def places(tmp_path) -> Places:
    return Places([tmp_path / "pictures"], tmp_path / "outputs")


def write(path, age_in_days: float = 0.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("something")
    then = time.time() - age_in_days * DAYS
    for one in (path, path.parent):
        os.utime(one, (then, then))


def dropped(places, name: str, age_in_days: float):
    folder = places.uploads("window") / f"dropped-{name}"
    write(folder / "1 a cat.png", age_in_days)
    return folder


def test_what_was_dropped_stays_while_a_run_has_it_or_may_come_to_have_it(places):
    outputs, studio = places.outputs, places.outputs / ".studio"
    run, queued, begun, fresh, gone, never = (
        dropped(places, name, 0.5 if name == "fresh" else 2)
        for name in ("run", "queued", "begun", "fresh", "gone", "never")
    )
    configuration = {"cropping": {"source": f"elsewhere/outputs/.studio/uploads/w/{run.name}"}}
    write_json(outputs / "one" / "cropping" / "manifest.json", {"configuration": configuration})
    (outputs / "three").mkdir()
    for name, folder in (("two", queued), ("three", begun), ("four", gone)):
        (studio / f"{name}.yaml").write_text(f"cropping: {{source: {folder}}}\n")
    remove_leftovers(places, {"two"})
    kept = {folder for folder in (run, queued, begun, fresh, gone, never) if folder.exists()}
    assert kept == {run, queued, begun, fresh}
    assert (run / "1 a cat.png").read_text() == "something"


def test_copies_and_old_thumbnails_go_and_the_rest_stays(places):
    studio = places.outputs / ".studio"
    go = ["files/x/y.png", "data-sets/one.zip", "words/one/word.pt", ".check-0a.yaml"]
    stay = ["queue.json", "one.yaml", "thumbnails/new.jpg", "../one/cropping/images/1.png"]
    for name in [*go, *stay]:
        write(studio / name)
    write(studio / "thumbnails" / "old.jpg", 40)
    alone = places.uploads("alone")
    write(alone / "dropped-1" / "1.png", 3)
    remove_leftovers(places, ())
    left = {str(path.relative_to(studio)) for path in studio.rglob("*") if path.is_file()}
    assert left == {"queue.json", "one.yaml", "thumbnails/new.jpg"}
    assert (places.outputs / "one" / "cropping" / "images" / "1.png").exists()
    assert not alone.exists()


@pytest.mark.parametrize("link", ["uploads", "uploads/window", "data-sets", "thumbnails"])
def test_nothing_is_removed_through_a_link(places, tmp_path, link):
    mine = [tmp_path / "mine" / name for name in ("dropped-1/1.png", "window/dropped-2/1.png",
                                                 "1.jpg", "one.zip")]  # fmt: skip
    for file in mine:
        write(file, 99)
        os.utime(file.parent, (0, 0))
    place = places.outputs / ".studio" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "mine")
    remove_leftovers(places, ())
    assert all(file.exists() for file in mine)


def test_a_folder_without_a_studio_is_left_alone(places):
    remove_leftovers(places, ())
    assert not places.outputs.exists()
