"""The page of a run: how the model learned, what it draws, and what the studies found."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddpm import tables
from ddpm.config import Config
from ddpm.films import saved_frames
from ddpm.learning import read_learned
from ddpm.stages import Bench
from lab.page import settings_rows, write_page
from lab.run import Progress, Run

TEMPLATE = Path(__file__).with_name("report.html")
REPORT = "report.html"
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
LARGEST_GIF = 4_000_000  # bytes that a page holds of one film
MOST_FRAMES = 60  # of a film that the page's slider has
SECTIONS = {
    "": "The model",
    "study": "Studies",
    "guide": "Guidance by a loss",
    "film": "Out of the noise",
    "measure": "Measures",
}
"""Folder of what a stage shows -> its heading; further folders have a heading of their own name."""


@dataclass(frozen=True)
class Shown:
    """Something that a stage showed, with what it is."""

    kind: str
    """picture, film, table or file."""
    path: Path
    what: str
    table: Any = None


def report(config: Config, run: Run, bench: Bench) -> Iterator[Progress]:
    """The last stage: report.html, of everything that the stages before it showed."""
    yield Progress("writing the report", 0, 1)
    path = run.folder / REPORT
    write_page(
        path,
        TEMPLATE,
        name=run.name,
        facts=facts(config, run, bench),
        sections=sections(run.folder, run.shown),
        frames=film_frames(run.folder / "film" / "frames"),
        notes=run.notes,
        settings=settings_rows(config.model_dump(mode="json", by_alias=True)),
        said=tables.said,
        columns_of=tables.columns_of,
    )
    run.show(path, "everything on one page: open it in a browser")
    yield Progress("writing the report", 1, 1)


def facts(config: Config, run: Run, bench: Bench) -> list[tuple[str, str]]:
    """The figures at the top: what one would ask first."""
    found = []
    if (pictures := bench.pictures) is not None:
        size = f"{pictures.pixels.shape[2]} px"
        parts = f"{len(pictures.validation)} to validate, {len(pictures.test)} to test"
        found.append((f"{len(pictures.train):,}", f"pictures to learn from, {size}; {parts}"))
    weights = sum(parameter.numel() for parameter in bench.unet.parameters())
    found.append((f"{weights / 1e6:.2f} million", "parameters of the U-Net"))
    learned = read_learned(run.folder) if config.train else None
    if learned is not None and learned.best_validation is not None:
        said = f"best validation loss, after step {learned.best_step:,} of {learned.steps:,}"
        found.append((f"{learned.best_validation:.4f}", said))
    left = float(bench.scheduler.alphas_cumprod[-1].sqrt())
    count = bench.scheduler.config["num_train_timesteps"]
    found.append((f"{left:.4f}", f"the picture's part of x_T, after {count} timesteps"))
    return found


def sections(folder: Path, shown: Sequence[tuple[Path, str]]) -> list[tuple[str, list[Shown]]]:
    """What was shown, under headings in the order of SECTIONS."""
    found: dict[str, list[Shown]] = {key: [] for key in SECTIONS}
    for path, what in shown:
        if path.name == REPORT or not path.exists():
            continue
        parts = path.relative_to(folder).parts
        top = parts[0] if len(parts) > 1 and not path.is_dir() else ""
        found.setdefault(top, []).append(_shown(path, what))
    return [(SECTIONS.get(key, key), items) for key, items in found.items() if items]


def _shown(path: Path, what: str) -> Shown:
    suffix = path.suffix.lower()
    if path.name.endswith(tables.SUFFIX):
        return Shown("table", path, what, tables.read_table(path))
    if suffix in PICTURES:
        return Shown("picture", path, what)
    if suffix == ".gif" and path.stat().st_size <= LARGEST_GIF:
        return Shown("film", path, what)
    return Shown("file", path, what)


def film_frames(folder: Path) -> list[tuple[Path, str]]:
    """Frames for the slider, evenly chosen, each with what it shows."""
    listing = saved_frames(folder)
    if len(listing) > MOST_FRAMES:
        last = len(listing) - 1
        listing = [listing[round(k * last / (MOST_FRAMES - 1))] for k in range(MOST_FRAMES)]
    return [(folder / line["file"], _said(line)) for line in listing]


def _said(line: dict[str, Any]) -> str:
    if line["timestep"] < 0:
        return f"step {line['step']}: the sample"
    kept = line["alpha_bar"] ** 0.5
    return f"step {line['step']}: t = {line['timestep']}, the picture's part {kept:.3f}"
