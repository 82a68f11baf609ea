"""The job on small folders: what it writes, what it refuses, and that it can be killed anywhere."""

import json
import runpy
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cropping import job
from cropping.config import Config
from lab.errors import UserError
from lab.run import Run


def picture(seed: int, size=(90, 60)) -> Image.Image:
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(int(v) for v in rng.integers(120, 255, 3)))
    x, y = (int(rng.integers(0, max(1, side - 24))) for side in size)
    image.paste(tuple(int(v) for v in rng.integers(0, 120, 3)), (x, y, x + 24, y + 24))
    return image


@pytest.fixture
def source(tmp_path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "nested" / "deep").mkdir(parents=True)
    picture(0).save(folder / "07 a yellow cat.png")
    picture(1, (60, 90)).save(folder / "012-a cat on a wall.png")
    picture(2).save(folder / "nested" / "07 a yellow cat.png")
    picture(3, (40, 40)).save(folder / "nested" / "deep" / "08_a_dove.jpg")
    (folder / "nested" / "deep" / "08_a_dove.txt").write_text("two doves\n")
    return folder


def crop(outputs: Path, source: Path, **settings) -> Run:
    plain = {"source": str(source), "size": 48, "pad": "never"}
    config = Config.model_validate(plain | settings)
    run = Run(outputs, "test", "cropping")
    with run:
        for _ in job.run(config, run):
            pass
    return run


def records(run: Run) -> list[dict]:
    lines = (run.folder / "crops.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def results(folder: Path) -> dict[str, bytes]:
    """Every file but the account of the run itself, which has times in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("manifest.json", ".lock")
    }


def test_every_picture_becomes_a_square_with_its_caption(tmp_path, source):
    run = crop(tmp_path / "out", source)
    assert [record["caption"] for record in records(run)] == [
        "a yellow cat",
        "a cat on a wall",
        "a yellow cat",
        "two doves",
    ]
    assert len({record["file"] for record in records(run)}) == 4
    for record in records(run):
        with Image.open(run.folder / record["file"]) as image:
            assert (image.size, image.mode) == ((48, 48), "RGB")
        words = (run.folder / record["file"]).with_suffix(".txt").read_text()
        assert words == record["caption"] + "\n"
    assert {path.name for path, _ in run.shown} == {
        "contact-sheet.jpg",
        "crops.jsonl",
        "report.html",
    }
    assert run.read_manifest()["status"] == "complete"


def test_a_line_of_the_index_says_exactly_what_was_cut(tmp_path, source):
    run = crop(tmp_path / "out", source)
    for record in records(run):
        x0, y0, x1, y1 = record["box"]
        with Image.open(record["source"]) as image:
            assert list(image.size) == record["source_size"]
            cut = image.convert("RGB").resize((48, 48), Image.Resampling.LANCZOS, (x0, y0, x1, y1))
        with Image.open(run.folder / record["file"]) as made:
            assert made.tobytes() == cut.tobytes()
        assert record["scale"] == pytest.approx(48 / (x1 - x0), abs=1e-4)


def test_enlarging_is_said(tmp_path, source):
    run = crop(tmp_path / "out", source)
    assert [record["scale"] > 1 for record in records(run)] == [False, False, False, True]
    assert any("1 of 4 crops show fewer than 48 px" in note for note in run.notes)


def test_a_picture_on_its_side_is_cropped_upright(tmp_path):
    upright = picture(5, (60, 90))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    for name, image, kwargs in [
        ("plain", upright, {}),
        ("turned", upright.transpose(Image.Transpose.ROTATE_90), {"exif": exif}),
    ]:
        (tmp_path / name).mkdir()
        image.save(tmp_path / name / "a.png", **kwargs)
    plain, turned = (crop(tmp_path / "out" / n, tmp_path / n) for n in ("plain", "turned"))
    assert records(plain)[0]["box"] == records(turned)[0]["box"]
    name = records(plain)[0]["file"]
    with Image.open(plain.folder / name) as one, Image.open(turned.folder / name) as other:
        assert one.tobytes() == other.tobytes()


def test_a_crop_does_not_depend_on_the_other_pictures(tmp_path, source):
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "012-a cat on a wall.png").write_bytes(
        (source / "012-a cat on a wall.png").read_bytes()
    )
    one, many = crop(tmp_path / "one", alone), crop(tmp_path / "many", source)
    assert records(one)[0]["box"] == records(many)[1]["box"]
    first, second = one.folder / records(one)[0]["file"], many.folder / records(many)[1]["file"]
    assert first.read_bytes() == second.read_bytes()


def test_the_same_input_gives_the_same_bytes_and_a_second_run_does_nothing(tmp_path, source):
    run = crop(tmp_path / "one", source)
    assert results(run.folder) == results(crop(tmp_path / "two", source).folder)
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    assert crop(tmp_path / "one", source).reused
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


def test_crops_of_another_run_do_not_linger(tmp_path, source):
    crop(tmp_path / "out", source)
    (source / "07 a yellow cat.png").unlink()
    (source / "nested" / "07 a yellow cat.png").rename(source / "nested" / "1 a blue cat.png")
    again, fresh = crop(tmp_path / "out", source), crop(tmp_path / "fresh", source)
    assert results(again.folder) == results(fresh.folder)


def test_a_crop_that_was_removed_comes_back(tmp_path, source):
    run = crop(tmp_path / "out", source)
    before = results(run.folder)
    (run.folder / records(run)[1]["file"]).unlink()
    assert results(crop(tmp_path / "out", source).folder) == before


def test_a_changed_caption_is_another_input(tmp_path, source):
    crop(tmp_path / "out", source)
    (source / "nested" / "deep" / "08_a_dove.txt").write_text("three doves")
    assert records(crop(tmp_path / "out", source))[3]["caption"] == "three doves"


KILLED = """
import os, signal
from pathlib import Path
from cropping import job
from cropping.config import Config
from lab.run import Run

folder, source, left = {words!r}
replace = Path.replace

def replace_or_die(self, target):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)

Path.replace = replace_or_die
with Run(folder, "test", "cropping") as run:
    for _ in job.run(Config(source=source, size=48, pad="never"), run):
        pass
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
@pytest.mark.parametrize("after", [0, 1, 2, 8, 18, 20, 21])
def test_killed_between_any_two_files_it_ends_with_the_same_result(tmp_path, source, after, warm):
    expected = results(crop(tmp_path / "whole", source).folder)
    crop(tmp_path / "out", source, strategy="centre", size=64)  # something older lies there
    script, words = tmp_path / "killed.py", [str(tmp_path / "out"), str(source), after]
    script.write_text(KILLED.format(words=words))
    killed = warm.Process(target=runpy.run_path, args=(str(script),))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    index = tmp_path / "out" / "test" / "cropping" / "crops.jsonl"
    if index.exists():  # while it is there, what it names is there
        for line in index.read_text().splitlines():
            assert (index.parent / json.loads(line)["file"]).exists()
    assert results(crop(tmp_path / "out", source).folder) == expected


def test_a_strict_job_refuses_a_picture_that_is_none_before_anything_is_written(tmp_path, source):
    (source / "zebra.png").write_bytes(b"not a picture")
    (source / "nested" / "cut.png").write_bytes((source / "07 a yellow cat.png").read_bytes()[:90])
    with pytest.raises(UserError, match=r"cut\.png.*zebra\.png.*cropping\.strict=false") as error:
        crop(tmp_path / "out", source, strict=True)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_refusal_leaves_earlier_crops_alone(tmp_path, source):
    before = results(crop(tmp_path / "out", source).folder)
    (source / "zebra.png").write_bytes(b"not a picture")
    with pytest.raises(UserError, match="zebra"):
        crop(tmp_path / "out", source, strict=True)
    assert results(tmp_path / "out" / "test" / "cropping") == before


def test_what_cannot_be_read_is_said_and_the_rest_goes_on(tmp_path, source):
    good = results(crop(tmp_path / "good", source).folder)
    (source / "0 zebra.png").write_bytes(b"not a picture")
    (source / "07 a yellow cat.txt").write_bytes(b"\xff\xfe\xff")
    run = crop(tmp_path / "out", source)
    assert [note for note in run.notes if "0 zebra.png" in note]
    assert [note for note in run.notes if "07 a yellow cat.txt is not text" in note]
    assert len(records(run)) == 4
    for name, data in good.items():
        if name.endswith(".png"):
            assert (run.folder / name).read_bytes() == data


def test_only_bad_pictures_are_refused_either_way(tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "zebra.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"zebra\.png"):
        crop(tmp_path / "out", tmp_path / "bad")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", [False, True])
def test_no_folder_and_no_pictures(tmp_path, make):
    if make:
        (tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match="nothing"):
        crop(tmp_path / "out", tmp_path / "nothing")
    assert not (tmp_path / "out").exists()


def test_results_are_not_cropped_again(tmp_path, source):
    with pytest.raises(UserError, match="results go into"):
        crop(source / "out", source)
    assert not (source / "out").exists()


@pytest.mark.parametrize("count, pages", [(1, 1), (41, 2)])
def test_many_pictures_take_several_sheets(tmp_path, count, pages):
    (tmp_path / "many").mkdir()
    for index in range(count):
        picture(index, (24, 16)).save(tmp_path / "many" / f"{index} a square.png")
    run = crop(tmp_path / "out", tmp_path / "many", size=16)
    found = sorted(run.folder.glob("contact-sheet*.jpg"))
    assert len(found) == pages
    with Image.open(found[0]) as sheet:
        assert max(sheet.size) < 3000


def test_captions_follow_their_settings(tmp_path, source):
    settings = {"sidecar": "ignore", "strip_numbers": False, "prefix": "ink,"}
    run = crop(tmp_path / "out", source, captions=settings)
    assert [record["caption"] for record in records(run)][::3] == [
        "ink, 07 a yellow cat",
        "ink, 08 a dove",
    ]
    assert {record["caption_from"] for record in records(run)} == {"file name"}


def test_a_dry_run_counts_what_is_to_be_cut_and_writes_nothing(tmp_path, source):
    config = Config.model_validate({"source": str(source), "size": 48, "pad": "never"})

    def said() -> str:
        return " ".join(job.forecast(config, Run(tmp_path / "out", "test", "cropping")))

    assert said().startswith("4 of 4 pictures to crop, about ")
    assert not (tmp_path / "out").exists()
    crop(tmp_path / "out", source)
    assert said() == "0 of 4 pictures to crop"
