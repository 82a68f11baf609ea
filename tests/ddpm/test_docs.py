"""The command that puts the studies' tables into the documentation."""

import importlib.util
from pathlib import Path

from ddpm.tables import Table, save_table

DOCS = Path(__file__).parents[2] / "docs"


def script(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_marked_tables_are_replaced_and_nothing_else(tmp_path):
    studies = script("studies")
    table = Table("A title", ("a", "b"), ((1, 0.5),), "How it was measured.")
    save_table(table, tmp_path / "x" / "ddpm" / "study", "found")
    page = "before\n<!-- table: x/study/found -->\n| old |\n<!-- end of table -->\nafter\n"
    once = studies.with_tables(page, tmp_path)
    assert once == (
        "before\n<!-- table: x/study/found -->\n| a | b |\n| ---: | ---: |\n| 1 | 0.5 |\n\n"
        "How it was measured.\n<!-- end of table -->\nafter\n"
    )
    assert studies.with_tables(once, tmp_path) == once


def test_the_page_has_a_place_for_every_picture_and_file():
    studies = script("studies")
    page = (DOCS / "ddpm.md").read_text(encoding="utf-8")
    for name, _ in studies.PICTURES.values():
        assert f"pictures/{name}.jpg" in page
    for name in studies.FILMS.values():
        assert f"pictures/{name}" in page
    for experiment in studies.EXPERIMENTS:
        assert (DOCS.parent / "experiments" / f"{experiment}.yaml").exists()
        assert (DOCS.parent / "experiments" / f"{experiment}-real.yaml").exists()
