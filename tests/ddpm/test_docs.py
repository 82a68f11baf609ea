"""The command that puts the studies' tables into the documentation."""

from pathlib import Path

from PIL import Image, ImageSequence

from ddpm.tables import Table, save_table

DOCS = Path(__file__).parents[2] / "docs"


def test_what_is_marked_is_replaced_and_nothing_else(tmp_path, script):
    studies = script("studies")
    table = Table("A title", ("a", "b"), ((1, 0.5),), "How it was measured.")
    save_table(table, tmp_path / "x" / "ddpm" / "study", "found")
    Image.new("RGB", (1200, 30)).save(tmp_path / "x" / "ddpm" / "seen.png")
    page = (
        "before\n<!-- table: x/study/found -->\n| old |\n<!-- end -->\nbetween\n"
        "<!-- picture: x/seen.png what it is -->\n<!-- end -->\n"
        "<!-- picture: x/later.png not there yet -->\n<!-- end -->\nafter\n"
    )
    once = studies.filled(page, tmp_path, tmp_path)
    assert once == (
        "before\n<!-- table: x/study/found -->\n| a | b |\n| ---: | ---: |\n| 1 | 0.5 |\n\n"
        "How it was measured.\n<!-- end -->\nbetween\n"
        "<!-- picture: x/seen.png what it is -->\n![what it is](pictures/ddpm-x-seen.jpg)\n"
        "<!-- end -->\n<!-- picture: x/later.png not there yet -->\n<!-- end -->\nafter\n"
    )
    assert studies.filled(once, tmp_path, tmp_path) == once
    with Image.open(tmp_path / "ddpm-x-seen.jpg") as image:
        assert image.size == (1000, 25)


def test_a_film_keeps_its_ends_and_its_length(tmp_path, script):
    studies = script("studies")
    colours = [(2 * k, 0, 0) for k in range(100)]
    first, *others = [Image.new("RGB", (8, 8), colour) for colour in colours]
    first.save(tmp_path / "long.gif", save_all=True, append_images=others, duration=60)
    studies.save_picture(tmp_path / "long.gif", tmp_path / "short.gif")
    seen, length = [], 0
    with Image.open(tmp_path / "short.gif") as film:
        for frame in ImageSequence.Iterator(film):
            length += frame.info["duration"]
            seen.append(frame.convert("RGB").getpixel((0, 0)))
    assert len(seen) == studies.FRAMES
    assert seen[0] == colours[0] and seen[-1] == colours[-1]
    assert length == 100 * 60


def test_every_mark_is_of_an_experiment_that_is_there(script):
    studies = script("studies")
    page = (DOCS / "ddpm.md").read_text(encoding="utf-8")
    marks = studies.MARK.findall(page)
    assert len(marks) >= 10
    assert {name.partition("/")[0] for _, _, name, _, _ in marks} <= set(studies.EXPERIMENTS)
    for experiment in studies.EXPERIMENTS:
        assert (DOCS.parent / "experiments" / f"{experiment}.yaml").exists()
