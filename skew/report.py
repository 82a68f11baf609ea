"""The page of a run: before and after side by side, and what else changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lab.images import enlarge, grid, save_png
from lab.page import settings_rows, write_page
from lab.run import Run
from skew.config import Config
from skew.facts import AFTER, BEFORE, sentences
from skew.figures import bars, strength_curve, trade
from skew.looking import Seen, pixels

TEMPLATE = Path(__file__).with_name("report.html")
GRIDS = "before-after.png"
SHOWN, COLUMNS, SIDE = 24, 6, 128  # pictures of a grid, in a row, px of one
THUMB = 160  # px of the longer side on the page


def save(
    config: Config,
    run: Run,
    facts: Mapping[str, Any],
    series: Mapping[str, Sequence[Path]],
    seen: Mapping[str, Seen],
) -> None:
    """Write report.html and the two grids as one picture."""
    names = [name for name in (BEFORE, AFTER) if name in series]
    called = titles(facts)
    _save_grids({called[name]: series[name][:SHOWN] for name in names}, run.folder / GRIDS)
    write_page(
        run.folder / "report.html",
        TEMPLATE,
        config=config,
        facts=facts,
        sentences=sentences(facts),
        before=facts["series"][BEFORE],
        after=facts["series"].get(AFTER),
        grids=[(name, _cells(name, series, seen)) for name in names],
        others=[
            (name, _cells(name, series, seen))
            for name in series
            if name not in (BEFORE, AFTER) and facts["series"].get(name, {}).get("pictures")
        ],
        explicit=[
            (name, _cells(name, series, seen)) for name in ("explicit-0", "explicit-1")
            if name in series
        ],
        bars=bars(facts),
        curve=strength_curve(facts),
        trade=trade(facts),
        titles=called,
        kind="PNG" if max(pixels(series[BEFORE][0]).shape) <= THUMB else "JPEG",
        thumb=THUMB,
        settings=settings_rows(config.model_dump(mode="json", by_alias=True)),
    )  # fmt: skip


def titles(facts: Mapping[str, Any]) -> dict[str, str]:
    """What each series of neutral pictures is called."""
    found = {}
    for name, one in facts["series"].items():
        if one["group"] == "silent":
            found[name] = "words added silently"
        elif one["group"] == "guidance":
            found[name] = f"guidance {one['guidance_scale']:g} alone"
        else:
            strength = one["strength"]
            whole = {0.0: "as the model is", 1.0: "with the learned word"}
            found[name] = whole.get(strength, f"strength {strength:g}")
    return found


def _cells(
    name: str, series: Mapping[str, Sequence[Path]], seen: Mapping[str, Seen]
) -> list[tuple[Path, str | None, bool]]:
    """The first pictures of a series: file, what it shows, whether the subject is there."""
    some = list(zip(series[name], seen[name].values, seen[name].subject, strict=True))[:SHOWN]
    return [(path, value, bool(subject)) for path, value, subject in some]


def _save_grids(series: Mapping[str, Sequence[Path]], path: Path) -> None:
    """One grid beside the other, the same prompt and seed at the same place."""
    grids = []
    for paths in series.values():
        tiles = [Image.fromarray(pixels(one)) for one in paths]
        for tile in tiles:
            tile.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        grids.append(grid([enlarge(tile, SIDE) for tile in tiles], COLUMNS))
    save_png(grid(grids, len(grids), labels=list(series), gap=12), path)
