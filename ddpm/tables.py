"""Tables of figures: as JSON for programs, as Markdown to read and to paste."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.run import write_json, write_text

SUFFIX = ".table.json"
Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Table:
    """What was measured, with what it is called and what it says."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    about: str = ""
    """How it was measured: how many pictures, against what."""


def said(cell: Cell) -> str:
    """A cell as text: three significant digits, a dash where there is nothing."""
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        if cell != cell:
            return "–"
        return f"{cell:.3g}" if abs(cell) < 1000 else f"{cell:,.0f}"
    return str(cell)


def markdown(table: Table) -> str:
    """The table in GitHub's Markdown, numbers to the right."""
    kinds = [_numeric(row[k] for row in table.rows) for k in range(len(table.columns))]
    rule = ["---:" if numeric else "---" for numeric in kinds]
    lines = [table.columns, rule, *([said(cell) for cell in row] for row in table.rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _numeric(cells) -> bool:
    return all(cell is None or isinstance(cell, int | float) for cell in cells)


def save_table(table: Table, folder: Path, name: str) -> Path:
    """Write NAME.md and NAME.table.json; the path of the latter, to be shown."""
    about = f"{table.about}\n" if table.about else ""
    write_text(folder / f"{name}.md", f"{table.title}\n\n{markdown(table)}\n{about}")
    path = folder / f"{name}{SUFFIX}"
    write_json(path, asdict(table))
    return path


def read_table(path: Path) -> Table:
    """What `save_table` wrote."""
    told = json.loads(path.read_text(encoding="utf-8"))
    return Table(
        told["title"], tuple(told["columns"]), tuple(map(tuple, told["rows"])), told["about"]
    )


def columns_of(table: Table) -> list[tuple[str, bool, Sequence[Cell]]]:
    """For each column its head, whether it holds numbers, and its cells."""
    return [
        (head, _numeric(cells), cells)
        for head, cells in zip(table.columns, zip(*table.rows, strict=True), strict=True)
    ]
