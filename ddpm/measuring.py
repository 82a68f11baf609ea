"""The stage `measure`: how near drawn pictures are to real ones that nothing was trained on."""

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from ddpm.baselines import new_vae, noise_pictures, train_vae, vae_pictures
from ddpm.config import Config
from ddpm.data import Pictures
from ddpm.drawing import Way, draw_set
from ddpm.extractors import load_extractor
from ddpm.measure_config import Measure
from ddpm.stages import Bench
from ddpm.tables import Cell, Table, save_table
from lab.errors import UserError
from lab.images import enlarge, save_png
from lab.run import Progress, Run, write_json
from lab.sheet import draw_sheet
from metrics.fidelity import halves, nearest_index
from metrics.scores import Score, judge, require_comparable, score

FOLDER, SCORES, SHEET = "measure", "scores.json", "pictures.png"
BLOCK = 64  # pictures that a killed run draws again at most
ON_THE_SHEET, CELL = 12, 72
NAMES = {"noise": "random noise", "vae": "VAE", "model": "diffusion"}
FLOOR, NEAREST = "real pictures (the floor)", "nearest it learned"

CLAIMS: dict[str, dict[str, tuple[str, str]]] = {
    "flowers": {
        "noise": ("50.47", "1.0844 ± 0.0582"),
        "vae": ("3.25", "1.4691 ± 0.1964"),
        "model": ("2.07", "1.6420 ± 0.1707"),
    },
    "faces": {
        "noise": ("–", "1.0844 ± 0.0582"),
        "vae": ("2.46", "1.4691 ± 0.1964"),
        "model": ("1.03", "1.6420 ± 0.1707"),
    },
}
"""What the study of flowers and faces reports as FID and Inception score. Few pictures and
probably a low layer of features: such FIDs are not those that Inception's last layer gives."""


def measure(config: Config, run: Run, bench: Bench) -> Iterator[Progress]:
    """Measure the model, its baselines and real pictures, by equal terms, into measure/.

    Raises:
        UserError: no data, or too few of them; an unknown extractor; other runs' figures that
            were not measured on the same terms.
    """
    settings = config.measure
    if settings is None:
        return
    pictures, n = pictures_to_measure(settings, bench.pictures)
    folder = run.folder / FOLDER
    if not (folder / SCORES).exists():
        extractor = load_extractor(settings.extractor, bench.device)
        real, floor = halves(pictures.part("test"), n)
        training = pictures.part("train")
        yield Progress("measuring", 0, 1)
        known = judge(extractor, training).features
        reference = judge(extractor, real)
        name = Run.fingerprint([pictures.fingerprint, list(pictures.test), n])[:12]
        scores, sheet = [], [("real pictures", real)]
        for key, draw in _sets(config, run, bench, training, n):
            drawn = yield from draw()
            seen = judge(extractor, drawn)
            what = f"{run.name}: {NAMES[key]}" if key == "model" else NAMES[key]
            scores.append(score(what, extractor, seen, reference, known, name))
            sheet.append((NAMES[key], drawn))
            if key == "model":
                found = training[nearest_index(seen.features[:ON_THE_SHEET], known)]
                sheet.append((NEAREST, found))
        seen = judge(extractor, floor)
        scores.append(score(FLOOR, extractor, seen, reference, known, name))
        _save_sheet(sheet, folder / SHEET, f"{n} of each were measured; these are the first")
        write_json(folder / SCORES, [asdict(each) for each in scores])
        yield Progress("measuring", 1, 1)
    scores = read_scores(folder)
    others = [each for other in settings.beside for each in _model_of(Path(other) / FOLDER)]
    require_comparable([*scores, *others])
    _show(settings, run, scores, others)


def pictures_to_measure(settings: Measure, pictures: Pictures | None) -> tuple[Pictures, int]:
    """The data, and n: as many as are wanted and there are test pictures for, twice.

    Raises:
        UserError: no data, or too few test pictures.
    """
    if pictures is None:
        raise UserError("ddpm.measure needs real pictures: name them in ddpm.data")
    there = len(pictures.test)
    n = settings.count or there // 2
    if n < 2 or 2 * n > there:
        raise UserError(
            f"ddpm.measure needs {max(4, 2 * n)} test pictures, n to compare with and as many for "
            f"the floor, and the data has {there}: raise ddpm.data.test, take more pictures, or "
            "lower ddpm.measure.count"
        )
    return pictures, n


Draw = Callable[[], Generator[Progress, None, np.ndarray]]


def _sets(
    config: Config, run: Run, bench: Bench, training: np.ndarray, n: int
) -> list[tuple[str, Draw]]:
    """The sets to measure, each with what draws its n pictures, uint8 [n, h, w, 3]."""
    assert config.measure is not None
    settings, size = config.measure, training.shape[1]
    seeds = range(settings.first_seed, settings.first_seed + n)
    folder = run.folder / FOLDER

    def draw_noise() -> Generator[Progress, None, np.ndarray]:
        yield Progress("drawing noise", 1, 1)
        return noise_pictures(seeds, size)

    def draw_vae() -> Generator[Progress, None, np.ndarray]:
        vae = new_vae(size, settings.vae.latent, config.seed).to(bench.device)
        yield from train_vae(vae, training, settings.vae, config.seed, folder / "vae.pt")
        return vae_pictures(vae, seeds)

    def draw_model() -> Generator[Progress, None, np.ndarray]:
        blocks = []
        for start in range(0, n, BLOCK):
            name = f"drawn-{start:05d}"
            way = Way(name, config.sample.sampler, config.sample.steps, config.sample.eta)
            chosen = seeds[start : start + BLOCK]
            some = draw_set(bench, way, chosen, config.sample.batch_size, folder / "drawn")
            blocks.append((yield from some))
        return np.concatenate(blocks)

    draws = {"noise": draw_noise, "vae": draw_vae, "model": draw_model}
    return [(key, draws[key]) for key in (*settings.baselines, "model")]


def _save_sheet(rows: Sequence[tuple[str, np.ndarray]], path: Path, about: str) -> None:
    columns = min(ON_THE_SHEET, *(len(pictures) for _, pictures in rows))
    cells = [enlarge(Image.fromarray(p), CELL) for _, ps in rows for p in ps[:columns]]
    names = [name for name, _ in rows]
    save_png(draw_sheet(cells, [""] * columns, names, "What was measured", about), path)


def read_scores(folder: Path) -> list[Score]:
    """What an earlier measurement found.

    Raises:
        UserError: there is none.
    """
    try:
        return [Score(**each) for each in json.loads((folder / SCORES).read_text("utf-8"))]
    except FileNotFoundError:
        raise UserError(
            f"{folder / SCORES} does not exist: measure that run first (its section ddpm.measure)"
        ) from None


def _model_of(folder: Path) -> list[Score]:
    """The score of another run's model, without that run's baselines and floor."""
    return [each for each in read_scores(folder) if each.what.endswith(f": {NAMES['model']}")]


def _show(settings: Measure, run: Run, scores: Sequence[Score], others: Sequence[Score]) -> None:
    """The table, the figures of the manifest, and a sentence."""
    *baselines, model, floor = scores
    table = table_of([*baselines, *others, model, floor], settings)
    run.show(save_table(table, run.folder / FOLDER, "table"), table.title)
    if (run.folder / FOLDER / SHEET).exists():
        run.show(run.folder / FOLDER / SHEET, "what was measured, and the nearest it had learned")
    run.manifest["measure"] = {
        "frechet": model.frechet,
        "kernel": model.kernel,
        "classes": model.classes,
        "learned": model.learned,
        "repeated": model.repeated,
        "floor": floor.frechet,
        "n": model.n,
        "extractor": model.extractor,
    }
    run.note(
        f"{names_of(model)[0]} ({settings.extractor}, n = {model.n}): "
        + ", ".join(f"{each.what} {each.frechet:.3g}" for each in table_order(scores))
        + f"; {model.learned:.0%} copies"
    )


def table_order(scores: Sequence[Score]) -> list[Score]:
    """From the furthest to the nearest."""
    return sorted(scores, key=lambda each: -each.frechet)


def names_of(score: Score) -> tuple[str, str, str]:
    """What the distances and the class score over these features are called."""
    if score.extractor == "inception2048":
        return "FID", "KD-inception2048", "IS"
    return f"FD-{score.extractor}", f"KD-{score.extractor}", "class score"


def table_of(scores: Sequence[Score], settings: Measure) -> Table:
    """The scores as a table, those of the published study beside them if wanted."""
    first = scores[0]
    frechet, kernel, classes = names_of(first)
    terms = f"({settings.extractor}, n = {first.n})"
    claims = CLAIMS.get(settings.claimed, {})
    columns = ["pictures", f"{frechet} {terms}", "±", kernel, "±", classes, "±"]
    columns += ["copies", "repeated"]
    if claims:
        columns += ["claimed FID", "claimed IS"]
    rows = []
    for each in scores:
        row: list[Cell] = [each.what, each.frechet, each.frechet_error, each.kernel]
        row += [each.kernel_error, each.classes, each.classes_error, each.learned, each.repeated]
        if claims:
            keys = [key for key, name in NAMES.items() if each.what.endswith(name)]
            row += claims[keys[0]] if keys else ("–", "–")
        rows.append(tuple(row))
    about = (
        f"Each set of {first.n} pictures against {first.n} real ones that nothing was trained on; "
        "± is a standard error (grouped jackknife). The floor are as many other real pictures. "
        "Copies are nearer to a training picture than all but 1 % of unseen real ones, repeated "
        "ones nearer to another of their own set than all but 1 % of real ones."
    )
    if claims:
        about += (
            " Claimed: the published study's own figures, of other pictures, extractor and n, so "
            "nothing to compare with."
        )
    return Table(
        f"How near drawn pictures are to real ones: {frechet} {terms}",
        tuple(columns),
        tuple(rows),
        about,
    )
