"""The studies of sampling: timesteps, randomness, samplers. Each ends in a grid and a table."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ddpm.config import Config
from ddpm.distance import distance_to
from ddpm.drawing import (
    Reference,
    Way,
    alike,
    brightness,
    coarse_variance,
    detail,
    draw_set,
    reference,
    spread,
)
from ddpm.films import tiled
from ddpm.shares import Shares, variance_shares
from ddpm.stages import Bench
from ddpm.study_config import Randomness
from ddpm.tables import Cell, Table, save_table
from ddpm.variants import Variant, bench_of, variants
from diffusion.schedule import alpha_bars
from lab.images import enlarge, save_png
from lab.run import Progress, Run
from lab.sheet import draw_sheet

CELL = 96  # px of a picture in the grids
WAYS = {
    "as it is": Way("as-it-is"),
    "x_T = 0": Way("no-x_T", x_T="zero"),
    "z = 0": Way("no-z", z="none"),
    "x_T = 0 and z = 0": Way("neither", x_T="zero", z="none"),
    "one x_T for all": Way("one-x_T", x_T="one"),
    "one z for all": Way("one-z", z="one"),
}
"""The ways to draw that the study of randomness compares."""

Drawn = Generator[Progress, None, np.ndarray]


def timesteps(config: Config, run: Run, bench: Bench) -> Iterator[Progress]:
    """The stage: study/timesteps.png, its table, and every picture that was measured."""
    asked = config.study and config.study.timesteps
    if asked is None:
        return
    wanted = variants(config, asked.counts, asked.scaled)
    seeds = _seeds(config, asked.pictures, asked.measured)
    known = _reference(config, bench, len(seeds))
    cells: list[np.ndarray] = []
    rows: list[tuple[Cell, ...]] = []
    for variant in wanted:
        trained = yield from bench_of(config, run, bench, variant)
        way = Way(f"timesteps-{variant.name}")
        pixels = yield from draw_set(trained, way, seeds, config.sample.batch_size, _sets(run))
        cells += list(pixels[: asked.pictures])
        rows.append(_row_of_timesteps(variant, trained, pixels, known))
    names = [_name_of_variant(one) for one in wanted]
    about = f"equal training, {config.train.steps if config.train else 0} steps; equal seeds"
    path = run.folder / "study" / "timesteps.png"
    _save_grid(
        cells, _heads(seeds[: asked.pictures]), names, "The number of timesteps", about, path
    )
    run.show(path, "the number of timesteps, with betas as they are and times 1000/T")
    table = Table(
        "The number of timesteps", _columns_of_timesteps(known), tuple(rows), _about(seeds, known)
    )
    run.show(save_table(table, run.folder / "study", "timesteps"), "the same in figures")


def _columns_of_timesteps(known: Reference | None) -> tuple[str, ...]:
    columns = ["T", "betas", "sqrt(alpha_bar_T)", "spread", "brightness"]
    if known is not None:
        columns += ["coarse variance / data's", "predicted from the schedule", "detail / data's"]
        columns += [known.distance.name] if known.distance else []
    return tuple(columns)


def _row_of_timesteps(
    variant: Variant, trained: Bench, pixels: np.ndarray, known: Reference | None
) -> tuple[Cell, ...]:
    alpha_bar = alpha_bars(trained.scheduler.config)
    betas = "x 1000/T" if variant.scaled else "as they are"
    row: list[Cell] = [variant.count, betas, float(alpha_bar[-1].sqrt())]
    row += [spread(pixels), brightness(pixels)]
    if known is not None:
        of_data = float(known.variances[: len(known.components)].sum())
        row.append(coarse_variance(pixels, known.components) / of_data)
        row.append(_kept(alpha_bar, known.variances[: len(known.components)]))
        row.append(detail(pixels) / known.detail)
        row += [known.distance.of(pixels)] if known.distance else []
    return tuple(row)


def _kept(alpha_bar: Tensor, variances: Tensor) -> float:
    """The share of these components' variance that samples have, by the closed form."""
    shares = [variance_shares(alpha_bar, float(v)) for v in variances]
    return sum(one.total for one in shares) / float(variances.sum())


def randomness(config: Config, run: Run, bench: Bench) -> Iterator[Progress]:
    """The stage: for each schedule a grid of the ways to draw, and one table of all."""
    asked = config.study and config.study.randomness
    if asked is None:
        return
    seeds = _seeds(config, asked.pictures, max(2, asked.measured))
    known = _reference(config, bench, len(seeds))
    rows: list[tuple[Cell, ...]] = []
    for variant in schedules_asked(config, asked):
        trained = bench
        if variant is not None:
            trained = yield from bench_of(config, run, bench, variant)
        name = variant.name if variant else "own"
        cells, found = [], {}
        for said, way in WAYS.items():
            one = replace(way, name=f"randomness-{name}-{way.name}")
            drawn = yield from draw_set(trained, one, seeds, config.sample.batch_size, _sets(run))
            found[said] = drawn
            cells += list(drawn[: asked.pictures])
        path = run.folder / "study" / f"randomness-{name}.png"
        title = "What x_T and z contribute"
        about = f"{_name_of_schedule(trained)}; ddpm, every timestep; a column is a seed"
        _save_grid(cells, _heads(seeds[: asked.pictures]), list(WAYS), title, about, path)
        run.show(path, f"what x_T and z contribute, {_name_of_schedule(trained)}")
        rows += _rows_of_randomness(trained, found, known)
    columns = ["schedule", "drawn with", "spread", "like the same seed's"]
    columns += ["spread, predicted", "likeness, predicted"] if known else []
    columns += [known.distance.name] if known and known.distance else []
    table = Table("What x_T and z contribute", tuple(columns), tuple(rows), _about(seeds, known))
    run.show(save_table(table, run.folder / "study", "randomness"), "the same in figures")


def schedules_asked(config: Config, asked: Randomness) -> Sequence[Variant | None]:
    """The schedules that the study of randomness looks at; None is the experiment's own model."""
    if not asked.scaled:
        return [None]
    assert config.schedule is not None
    return variants(config, (config.schedule.timesteps,), asked.scaled)


def _rows_of_randomness(
    trained: Bench, found: dict[str, np.ndarray], known: Reference | None
) -> list[tuple[Cell, ...]]:
    alpha_bar = alpha_bars(trained.scheduler.config)
    expected = _expected(alpha_bar, known) if known else {}
    rows: list[tuple[Cell, ...]] = []
    for said, pixels in found.items():
        row: list[Cell] = [_name_of_schedule(trained), said, spread(pixels)]
        row.append(alike(pixels, found["as it is"]))
        if known is not None:
            row += list(expected[said])
            row += [known.distance.of(pixels)] if known.distance else []
        rows.append(tuple(row))
    return rows


def _expected(alpha_bar: Tensor, known: Reference) -> dict[str, tuple[float, float | None]]:
    """For each way the spread, and the correlation with the same seed drawn as it is, of Gaussian
    data with the variances of these, drawn with the best model there is."""
    every = [variance_shares(alpha_bar, float(v)) for v in known.variances]
    pixels = known.components.shape[1]

    def size(of) -> float:
        return sum(of(one) for one in every)

    def all_z(one: Shares) -> float:
        return float(one.z.sum())

    whole, start, steps = size(lambda one: one.total), size(lambda one: one.x_T), size(all_z)
    from_start = (start / pixels) ** 0.5, (start / whole) ** 0.5
    from_steps = (steps / pixels) ** 0.5, (steps / whole) ** 0.5
    return {
        "as it is": ((whole / pixels) ** 0.5, 1.0),
        "x_T = 0": from_steps,
        "z = 0": from_start,
        "x_T = 0 and z = 0": (0.0, None),
        "one x_T for all": from_steps,
        "one z for all": from_start,
    }


def samplers(config: Config, run: Run, bench: Bench) -> Iterator[Progress]:
    """The stage: study/samplers.png, a row for each sampler, a column for each number of steps."""
    asked = config.study and config.study.samplers
    if asked is None:
        return
    seeds = _seeds(config, asked.pictures, asked.measured)
    known = _reference(config, bench, len(seeds))
    most = int(bench.scheduler.config["num_train_timesteps"])
    counts = list(dict.fromkeys(min(steps, most) for steps in asked.steps))
    cells: list[np.ndarray] = []
    rows: list[tuple[Cell, ...]] = []
    for sampler in asked.samplers:
        for steps in counts:
            way = _way_of(sampler, steps)
            pixels = yield from draw_set(bench, way, seeds, config.sample.batch_size, _sets(run))
            cells.append(tiled(pixels[: asked.pictures], 2))
            rows.append(_row_of_samplers(sampler, steps, pixels, known))
    path = run.folder / "study" / "samplers.png"
    heads = [f"{count} steps" for count in counts]
    about = f"{_name_of_schedule(bench)}; equal x_T in every cell"
    _save_grid(
        cells, heads, list(asked.samplers), "Samplers and their steps", about, path, 2 * CELL
    )
    run.show(path, "samplers and their numbers of steps, from equal x_T")
    columns = ["sampler", "steps", "spread"]
    if known is not None:
        columns += ["detail / data's"]
        columns += [known.distance.name] if known.distance else []
    table = Table("Samplers and their steps", tuple(columns), tuple(rows), _about(seeds, known))
    run.show(save_table(table, run.folder / "study", "samplers"), "the same in figures")


def _way_of(sampler: str, steps: int) -> Way:
    name, _, eta = sampler.partition("_eta")
    return Way(f"samplers-{sampler}-{steps}", name, steps, float(eta or 0))


def _row_of_samplers(
    sampler: str, steps: int, pixels: np.ndarray, known: Reference | None
) -> tuple[Cell, ...]:
    row: list[Cell] = [sampler, steps, spread(pixels)]
    if known is not None:
        row.append(detail(pixels) / known.detail)
        row += [known.distance.of(pixels)] if known.distance else []
    return tuple(row)


def _reference(config: Config, bench: Bench, drawn: int) -> Reference | None:
    if bench.pictures is None:
        return None
    known = reference(bench.pictures.part("train"))
    return replace(known, distance=distance_to(config, bench, drawn))


def _seeds(config: Config, pictures: int, measured: int) -> list[int]:
    return list(range(config.sample.seed, config.sample.seed + max(pictures, measured)))


def _sets(run: Run) -> Path:
    return run.folder / "study" / "pictures"


def _heads(seeds: Sequence[int]) -> list[str]:
    return [f"seed {seed}" for seed in seeds]


def _name_of_variant(variant: Variant) -> str:
    return f"T = {variant.count}, betas {'x 1000/T' if variant.scaled else 'as they are'}"


def _name_of_schedule(bench: Bench) -> str:
    config: Any = bench.scheduler.config
    left = float(alpha_bars(config)[-1].sqrt())
    kind, count = config["beta_schedule"], config["num_train_timesteps"]
    return f"{kind}, T = {count}, sqrt(alpha_bar_T) = {left:.3f}"


def _about(seeds: Sequence[int], known: Reference | None) -> str:
    said = (
        f"{len(seeds)} pictures in each row, seeds {seeds[0]} to {seeds[-1]}. Spread: distance from"
        " the mean picture, root mean square over pixels of -1..1."
    )
    if known is None:
        return said
    said += f" The data's spread is {known.spread:.3f}, their brightness {known.brightness:.3f}."
    if known.distance is not None:
        said += (
            f" {known.distance.name}: from as many test pictures; other test pictures are at "
            f"{known.distance.floor:.3g}."
        )
    return said


def _save_grid(
    cells: Sequence[np.ndarray],
    heads: Sequence[str],
    rows: Sequence[str],
    title: str,
    about: str,
    path: Path,
    side: int = CELL,
) -> None:
    pictures = [enlarge(Image.fromarray(one), side) for one in cells]
    save_png(draw_sheet(pictures, heads, rows, title, about), path)
