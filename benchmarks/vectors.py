"""How many vectors does a style need, and what is lost by stopping when the rule says so?

    python benchmarks/vectors.py            # any number of these at once share the work
    python benchmarks/vectors.py --report   # the tables and the figure of what is done

For each style that the bundled model never saw, number of vectors and seed: a run of all the steps
of experiments/vectors.yaml, and the same run ended where its rule says that it is enough. Without a
cool-down the second is the beginning of the first: both are judged by the best rows of their steps.
The folder --outputs keeps what was trained (CASE.safetensors) and judged (CASE.json); a case that
was stopped in the middle begins again. An hour of one core.
"""

import argparse
import copy
import dataclasses
import fcntl
import functools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import torch
import vectors_report
from safetensors import safe_open
from safetensors.torch import save_file

from cfg.sampling import sample
from diffusion.pseudo_word import add_word, training_rows
from diffusion.stable_diffusion import StableDiffusion, load
from inversion import stopping
from inversion.batches import Material
from inversion.checks import shapes_of, weights_of
from inversion.config import Config, Stop
from inversion.data import find_examples
from inversion.evaluation import read_reference
from inversion.initial import prepare_words
from inversion.latents import Latents, encode_pictures
from inversion.templates import read_templates
from inversion.training import train
from lab.config import load_experiment
from lab.run import write_atomically, write_json
from metrics.style import style_distance, style_floor
from storybook.classifier import classify, load_classifier
from studio import cli

HERE = Path(__file__).resolve().parent
EXPERIMENT = HERE.parent / "experiments/vectors.yaml"
DATASETS = HERE.parent / "datasets"
STYLES, SEEDS = ("patchwork", "stained-glass"), (0, 1, 2)
RULES = ("plateau", "dvar")  # both are asked; the experiment's own ends the run


@dataclass(frozen=True)
class Case:
    """One run of the study."""

    style: str
    vectors: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.style}-{self.vectors:02d}-{self.seed}"


def cases(counts: Sequence[int]) -> Iterator[Case]:
    """All of them; each seed's before the next one's, so that an unfinished study is one of fewer
    seeds."""
    for seed in SEEDS:
        for count in counts:
            for style in STYLES:
                yield Case(style, count, seed)


def settings() -> Config:
    """The section `inversion:` of experiments/vectors.yaml."""
    config = load_experiment(EXPERIMENT, [], cli.models(cli.JOBS)).sections["inversion"]
    assert isinstance(config, Config)
    return config


def crops_of(style: str, outputs: Path) -> Path:
    """The crops of a style's scans, cut by the cropping job on its first use."""
    name = f"vectors-{style}"
    changes = [f"name={name}", f"cropping.source={DATASETS / style}"]
    with (outputs / ".crops.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the second process finds them done
        if cli.main(["cropping", str(EXPERIMENT), *changes, "--outputs", str(outputs)]):
            sys.exit("error: cropping failed")
    return outputs / name / "cropping"


def finished(steps: Iterator[Any]) -> Any:
    """What a generator returns, its progress left out."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def own_words(sd: StableDiffusion) -> StableDiffusion:
    """The model with words of its own: no case sees those of another, in any order."""
    return dataclasses.replace(
        sd,
        tokenizer=copy.deepcopy(sd.tokenizer),
        text_encoder=copy.deepcopy(sd.text_encoder),
        words={},
    )


def learn(sd: StableDiffusion, case: Case, config: Config, outputs: Path, path: Path) -> None:
    """Train one case to its last step, and keep the rows of every measurement in `path`."""
    word = f"<{config.word.strip('<>')}-{case.name}>"
    update = {"word": word, "num_vectors": case.vectors, "seed": case.seed}
    config = config.model_copy(update=update | {"stop": Stop(rule="never", cooldown=0)})
    examples, latents = material_of(sd, config, outputs, case.style)
    words = prepare_words(sd, config)
    material = Material(examples, latents, read_templates(config), word)
    rows: dict[str, torch.Tensor] = {}
    began, history = time.perf_counter(), ()
    with training_rows(sd.text_encoder, words.token_ids, words.rows) as trained:
        for _, state in train(sd, trained, material, config, words.norms):
            history = state.history
            if state.step == history[-1].step:
                rows[str(state.step)] = state.result.clone()
    about = {
        "history": [[measured.step, measured.objective] for measured in history],
        "seconds": time.perf_counter() - began,
        "model": sd.fingerprint,
        "resolution": sd.resolution,
    }
    write_atomically(path, lambda p: save_file(rows, p, metadata={"about": json.dumps(about)}))


def kept(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The rows by step, and the rest, that `learn` left."""
    with safe_open(path, "pt") as file:
        rows = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return rows, json.loads(file.metadata()["about"])


def ends(history: Sequence[Sequence[float]], config: Config) -> dict[str, int]:
    """The step at which each rule speaks; all steps if it does not."""
    measured = [stopping.Measured(int(step), value) for step, value in history]
    spoke = {}
    for rule in RULES:
        asked = config.stop.model_copy(update={"rule": rule})
        said = [
            one.step
            for k, one in enumerate(measured)
            if stopping.is_enough(measured[: k + 1], asked)
        ]
        spoke[rule] = said[0] if said else config.train.steps
    return spoke


def best(history: Sequence[Sequence[float]], last: int) -> int:
    """The best measured step up to `last`, as the job would keep it."""
    return int(min((one for one in history[1:] if one[0] <= last), key=lambda one: one[1])[0])


def draw(sd: StableDiffusion, config: Config, template: str, word: str) -> list[np.ndarray]:
    """Every subject of `evaluate` with each of its seeds; the same noise for every word."""
    asked = config.evaluate
    assert asked is not None
    subjects = [subject for subject in asked.subjects for _ in range(asked.seeds)]
    named = template.replace("[name]", word)
    prompts = [named.replace("[filewords]", subject) for subject in subjects]
    return list(
        sample(
            sd,
            prompts,
            seeds=[1000 + k for k in range(len(prompts))],
            guidance_scale=asked.guidance_scale,
            steps=asked.steps,
            scheduler=asked.scheduler,
            batch_size=8,
        )
    )


def judged(config: Config, pictures: Sequence[np.ndarray], style: str, side: int) -> dict[str, Any]:
    """Style distance to the held-out pictures, and the share whose subject the judge sees."""
    asked = config.evaluate
    assert asked is not None
    subjects = [s.split()[-1] for s in asked.subjects for _ in range(asked.seeds)]
    distance = style_distance(pictures, reference(style, side))
    seen = [found["subject"] for found in classify(judge(), pictures)]
    right = [a == b for a, b in zip(seen, subjects, strict=True)]
    return {
        "style": float(distance.total.mean()),
        "palette": float(distance.palette.mean()),
        "texture": float(distance.texture.mean()),
        "subject": float(np.mean(right)),
    }


@functools.cache
def judge():
    return load_classifier()


@functools.cache
def reference(style: str, side: int) -> list[np.ndarray]:
    return read_reference(str(DATASETS / f"{style}-held-out"), side)


def judge_case(sd: StableDiffusion, case: Case, config: Config, path: Path) -> dict[str, Any]:
    """What is drawn with the best rows of all steps, of those until the rule speaks, and of a
    quarter of them. What `path` has already is not drawn again."""
    rows, about = kept(path.with_suffix(".safetensors"))
    spoke, history = ends(about["history"], config), about["history"]
    last = {"long": config.train.steps, "quarter": config.train.steps // 4}
    last["stopped"] = spoke[config.stop.rule]
    before = json.loads(path.read_text()) if path.exists() else {}
    judged_steps: dict[str, Any] = before.get("judged", {})
    found = {"style": case.style, "vectors": case.vectors, "seed": case.seed, "spoke": spoke}
    for name, steps in last.items():
        step = str(best(history, steps))
        if step not in judged_steps:
            token = f"<judged-{case.name}-{step}>"
            add_word(sd, token, rows[step])
            assert config.evaluate is not None
            pictures = draw(sd, config, config.evaluate.template, token)
            judged_steps[step] = judged(config, pictures, case.style, sd.resolution)
        norm = rows[step].norm(dim=1).mean().item()
        of = {"steps": steps, "best_step": int(step), "norm": norm}
        found[name] = judged_steps[step] | of
    without = judged(config, plain(sd, config), case.style, sd.resolution)
    return found | about | {"judged": judged_steps, "without": without}


_PLAIN: list[np.ndarray] = []


def plain(sd: StableDiffusion, config: Config) -> list[np.ndarray]:
    """The same prompts without a word, drawn once in a process."""
    assert config.evaluate is not None
    if not _PLAIN:
        _PLAIN.extend(draw(sd, config, config.evaluate.plain_template, ""))
    return _PLAIN


@functools.lru_cache(maxsize=2)
def _crops(style: str, outputs: Path) -> Path:
    return crops_of(style, outputs)


_LATENTS: dict[str, tuple[Any, list[Latents]]] = {}


def material_of(sd: StableDiffusion, config: Config, outputs: Path, style: str):
    """The examples and latents of a style, made once in a process."""
    if style not in _LATENTS:
        examples = find_examples(config, _crops(style, outputs))
        shapes = shapes_of(sd, config, examples)
        weights = weights_of(sd, config, examples, shapes)
        _LATENTS[style] = examples, finished(encode_pictures(sd, examples, shapes, weights))
    return _LATENTS[style]


def floors(side: int) -> dict[str, Any]:
    """Of each style's held-out pictures: their distance to each other, and what the judge sees."""
    found = {}
    for style in STYLES:
        pictures = reference(style, side)
        names = [p.stem.split()[-1] for p in sorted((DATASETS / f"{style}-held-out").glob("*.jpg"))]
        small = [np.asarray(picture) for picture in pictures]
        seen = [one["subject"] for one in classify(judge(), small)]
        found[style] = {
            "style": float(style_floor(pictures).total.mean()),
            "subject": float(np.mean([a == b for a, b in zip(seen, names, strict=True)])),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="The study of vectors and stopping.")
    parser.add_argument("--outputs", type=Path, default=Path("outputs/vectors"))
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--report", action="store_true", help="only write the tables")
    options = parser.parse_args()
    measuring.quieten()
    config = settings()
    assert isinstance(config.num_vectors, tuple)
    wanted = list(cases(config.num_vectors))
    if not options.report:
        work(options.outputs, config, wanted)
    done = [options.outputs / f"{case.name}.json" for case in wanted]
    there = [json.loads(path.read_text()) for path in done if path.exists()]
    if there:
        facts = measuring.machine("cpu") | {"floors": floors(there[0]["resolution"])}
        vectors_report.write(options.results, there, len(wanted), config, facts)


def work(outputs: Path, config: Config, wanted: Sequence[Case]) -> None:
    """Do the cases that nobody has done or is doing."""
    if stopping.early_ending(config.train.steps // 4, config.train, config.stop).count:
        sys.exit("error: the study needs schedule_free, or inversion.stop.cooldown=0")
    outputs.mkdir(parents=True, exist_ok=True)
    sd = load(config.model, config.device, "fp32")
    for case in wanted:
        path = outputs / f"{case.name}.json"
        with (outputs / f".{case.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # another process is at it
                continue
            rows = path.with_suffix(".safetensors")
            if not rows.exists():
                learn(own_words(sd), case, config, outputs, rows)
            found = judge_case(own_words(sd), case, config, path)
            write_json(path, found)
            said = {name: round(found[name]["style"], 4) for name in ("long", "quarter", "stopped")}
            print(case.name, found["spoke"], said, flush=True)


if __name__ == "__main__":
    measuring.run(main)
