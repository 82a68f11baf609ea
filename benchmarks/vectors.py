"""How many vectors does a style need, and what is lost by stopping when the rule says so?

    python benchmarks/vectors.py            # any number of these at once share the work
    python benchmarks/vectors.py --report   # the tables and the figure of what is done

For each style that the bundled model never saw, number of vectors and seed: a run of all the steps
of experiments/vectors.yaml, and the same run ended where its rule says that it is enough. The two
are one run up to there, so only the cool-down of the second is trained anew. Each case is one file
in the folder --outputs; a case that was stopped in the middle begins again. An hour of one core.
"""

import argparse
import copy
import fcntl
import functools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import torch
import vectors_report

from cfg.sampling import sample
from diffusion.pseudo_word import PseudoWord, training_rows
from diffusion.stable_diffusion import StableDiffusion, load
from inversion import stopping
from inversion.batches import Material
from inversion.checks import shapes_of, weights_of
from inversion.config import Config
from inversion.data import find_examples
from inversion.evaluation import read_reference
from inversion.initial import Words, prepare_words
from inversion.latents import Latents, encode_pictures
from inversion.templates import read_templates
from inversion.training import State, train
from lab.config import load_experiment
from lab.run import write_json
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


def learn(
    sd: StableDiffusion, word: PseudoWord, words: Words, material: Material, config: Config
) -> tuple[dict[str, State], dict[str, int]]:
    """The last State of the long run and of the one that is stopped, and the step at which each
    rule spoke (all steps if it did not)."""
    never = config.model_copy(update={"stop": config.stop.model_copy(update={"rule": "never"})})
    spoke: dict[str, int] = {}
    early: State | None = None
    state: State | None = None
    for _, state in train(sd, word, material, never, words.norms):
        if state.step != state.history[-1].step or state.step > state.ending.first:
            continue
        for rule in RULES:
            asked = config.stop.model_copy(update={"rule": rule})
            if rule not in spoke and stopping.is_enough(state.history, asked):
                spoke[rule] = state.step
                if rule == config.stop.rule:
                    early = copy.deepcopy(state)
    assert state is not None
    long = state
    if early is not None:
        ending = stopping.early_ending(early.step, config.train, config.stop)
        begun = replace(early, ending=ending)
        *_, (_, early) = [(None, begun), *train(sd, word, material, never, words.norms, begun)]
    spoke = {rule: spoke.get(rule, config.train.steps) for rule in RULES}
    return {"long": long, "stopped": early or long}, spoke


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


def run_case(
    sd: StableDiffusion, case: Case, config: Config, outputs: Path, plain: Sequence[np.ndarray]
) -> dict[str, Any]:
    """Everything that one run tells."""
    word = f"<{config.word.strip('<>')}-{case.name}>"
    config = config.model_copy(
        update={"word": word, "num_vectors": case.vectors, "seed": case.seed}
    )
    examples, latents = material_of(sd, config, outputs, case.style)
    words = prepare_words(sd, config)
    material = Material(examples, latents, read_templates(config), word)
    began = time.perf_counter()
    found: dict[str, Any] = {"style": case.style, "vectors": case.vectors, "seed": case.seed}
    assert config.evaluate is not None
    with training_rows(sd.text_encoder, words.token_ids, words.rows) as trained:
        ends, spoke = learn(sd, trained, words, material, config)
        found["seconds_training"] = time.perf_counter() - began
        for name, state in ends.items():
            with torch.no_grad():
                trained.rows.copy_(state.best)
            pictures = draw(sd, config, config.evaluate.template, word)
            found[name] = judged(config, pictures, case.style, sd.resolution) | {
                "steps": state.step,
                "best_step": state.best_measured.step,
                "objective": state.best_measured.objective,
                "norm": state.best.norm(dim=1).mean().item(),
            }
    history = [[m.step, m.objective] for m in ends["long"].history]
    without = judged(config, plain, case.style, sd.resolution)
    return found | {"spoke": spoke, "history": history, "without": without}


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
    outputs.mkdir(parents=True, exist_ok=True)
    sd = load(config.model, config.device, "fp32")
    plain: list[np.ndarray] | None = None
    assert config.evaluate is not None
    for case in wanted:
        path = outputs / f"{case.name}.json"
        with (outputs / f".{case.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # another process is at it
                continue
            if path.exists():
                continue
            plain = plain or draw(sd, config, config.evaluate.plain_template, "")
            found = run_case(sd, case, config, outputs, plain)
            about = {"model": sd.fingerprint, "resolution": sd.resolution}
            write_json(path, found | about)
            print(case.name, found["spoke"], found["long"], found["stopped"], flush=True)


if __name__ == "__main__":
    measuring.run(main)
