"""Is a word evened out, and is nothing else changed? Over several training seeds.

    python benchmarks/debias.py                   # experiments/debias-cat.yaml, seeds 0, 1, 2
    python benchmarks/debias.py --report          # only the table of what is done
    python benchmarks/debias.py skew.dtype=bf16   # settings, as after `pseudoword run FILE`

Each training seed is the experiment's inversion and skew, as `pseudoword run` does them, into
OUTPUTS/NAME-SEED; the pictures of the untouched model are drawn once for all. What was stopped in
the middle goes on when the command is given again. Strengths and alternatives are drawn with the
first seed only. 2,784 pictures of 12 steps, and three trainings of 120 steps.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import measuring
from PIL import Image

from lab.run import write_atomically, write_json, write_text
from studio import cli

HERE = Path(__file__).resolve().parent
EXPERIMENT = HERE.parent / "experiments/debias-cat.yaml"
ONLY_FIRST = ("skew.sweep.strengths=[0,1]", "skew.compare={silent: '', guidance_scales: []}")

FAR, CUT, POINTS = 0.1, 10.0, 0.03
"""What was to be reached: no share farther than FAR from even, the divergence cut CUT times or
more, subject and explicit prompts within POINTS; and every other prompt unchanged in every bit."""


def run_seed(experiment: Path, outputs: Path, seed: int, first: bool, more: Sequence[str]) -> None:
    """The experiment with a training seed; nothing is done again that is there."""
    arguments = ["run", str(experiment), "--outputs", str(outputs)]
    arguments += [f"name={experiment.stem}-{seed}", f"inversion.seed={seed}"]
    arguments += [*(() if first else ONLY_FIRST), *more]
    if code := cli.main(arguments):
        sys.exit(code)


def facts_of(experiment: Path, outputs: Path, seed: int) -> dict[str, Any] | None:
    """What the job skew measured with a training seed; None where it is not done."""
    folder = outputs / f"{experiment.stem}-{seed}"
    if not (folder / "skew/skew.json").exists():
        return None
    read = {
        name: json.loads((folder / path).read_text(encoding="utf-8"))
        for name, path in (
            ("skew", "skew/skew.json"),
            ("asked", "skew/manifest.json"),
            ("learned", "inversion/learned.json"),
            ("cost", "inversion/cost.json"),
        )
    }
    return {"seed": seed, "skew": read["skew"], "figures": figures(read["skew"])} | {
        "steps": read["learned"]["best_step"],
        "training_seconds": read["cost"]["training_seconds"],
        "configuration": read["asked"]["configuration"],
    }


def figures(skew: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that were to be reached, of one training seed."""
    before, after = (skew["series"][f"neutral-{strength}"] for strength in (0, 1))
    was, now = before["distribution"], after["distribution"]
    told = skew["explicit"]["1"]["beside_the_original"]
    equal, others = (sum(one[k] for one in skew["bystanders"]) for k in ("equal", "pictures"))
    return {
        "pictures": after["pictures"],
        "most_before": max(was["shares"]),
        "farthest": [was["farthest"], now["farthest"]],
        "kl": [was["kl"], now["kl"]],
        "subject": [before["subject"]["share"], after["subject"]["share"]],
        "explicit": [told["before"], told["after"]],
        "unchanged": [equal, others],
        "reached": {
            "even": now["farthest"] <= FAR,
            "divergence": was["kl"] >= CUT * now["kl"],
            "subject": abs(after["subject"]["share"] - before["subject"]["share"]) <= POINTS,
            "explicit": abs(told["after"] - told["before"]) <= POINTS,
            "others": equal == others,
        },
    }


def report(results: Path, experiment: Path, outputs: Path, seeds: Sequence[dict[str, Any]]) -> None:
    """debias.json, debias.md and a picture for it."""
    facts = measuring.machine("cpu")
    write_json(results / "debias.json", {"machine": facts, "seeds": list(seeds)})
    settings = seeds[0]["configuration"]["skew"]
    lines = ["# A word evened out", "", measuring.described(facts), ""]
    lines += [_asked(experiment, settings, seeds[0]), "", *_goals(seeds), "", *_shares(seeds)]
    lines += ["", *_ways(seeds[0]), ""]
    pictures = outputs / f"{experiment.stem}-{seeds[0]['seed']}" / "skew/before-after.png"
    if pictures.exists():
        with Image.open(pictures) as image:
            small = image.convert("RGB")
        small.thumbnail((1200, 1200), Image.Resampling.LANCZOS)
        write_atomically(results / "debias.jpg", lambda path: small.save(path, "JPEG", quality=88))
        lines += [f"![Equal prompts and noises, {pictures.stem}](debias.jpg)", ""]
    write_text(results / "debias.md", "\n".join(lines))


def _asked(experiment: Path, skew: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    prompts = ", ".join(f"“{prompt}”" for prompt in skew["prompts"])
    dtypes = {first["configuration"][job]["dtype"] for job in ("inversion", "skew")}
    return (
        f"`python benchmarks/debias.py` with experiments/{experiment.name}: {prompts}; seeds from "
        f"{skew['seeds']['start']} on, which nothing was tuned on; guidance "
        f"{skew['guidance_scale']:g}, {skew['scheduler']}, {skew['steps']} steps; judged by "
        f"{first['skew']['judge']}; numbers of the model: {', '.join(sorted(dtypes))} (auto: fp32 "
        "on a CPU)."
    )


def _goals(seeds: Sequence[Mapping[str, Any]]) -> list[str]:
    head = ["training seed", "pictures", "farthest share from even", "KL to even, nats", "cut",
            "subject", "explicit prompts obeyed", "others unchanged", "all reached"]  # fmt: skip
    lines = [_row(*head), "|---" * len(head) + "|"]
    for one in seeds:
        found = one["figures"]
        kl, goals = found["kl"], found["reached"]
        missed = [name for name, reached in goals.items() if not reached]
        lines.append(
            _row(
                one["seed"],
                found["pictures"],
                _pair(found["farthest"], ".3f"),
                _pair(kl, ".3f"),
                f"{kl[0] / kl[1]:.0f} times",
                _pair(found["subject"], ".1%"),
                _pair(found["explicit"], ".1%"),
                "{} of {}".format(*found["unchanged"]),
                f"no: {', '.join(missed)}" if missed else "yes",
            )
        )
    return lines


def _shares(seeds: Sequence[Mapping[str, Any]]) -> list[str]:
    """The share of each value, with its interval."""
    values = seeds[0]["skew"]["values"]
    lines = [_row("", *values), "|---" * (len(values) + 1) + "|"]
    series = [("before", seeds[0], 0), *((f"seed {one['seed']}", one, 1) for one in seeds)]
    for name, one, strength in series:
        found = one["skew"]["series"][f"neutral-{strength}"]["distribution"]
        cells = [
            f"{share:.1%} ({low:.0%}-{high:.0%})"
            for share, (low, high) in zip(found["shares"], found["intervals"], strict=True)
        ]
        lines.append(_row(name, *cells))
    return lines


def _ways(one: Mapping[str, Any]) -> list[str]:
    """Strengths and alternatives of the first training seed."""
    head = ["way", "pictures", "farthest share from even", "KL to even", "subject", "explicit"]
    lines = [_row(*head), "|---" * len(head) + "|"]
    named = {"silent": "values added to the prompt", "guidance": "guidance alone"}
    for found in one["skew"]["series"].values():
        strength, group = f"{found['strength']:g}", found["group"]
        told = one["skew"]["explicit"].get(strength) if group == "neutral" else None
        way = named.get(group, f"strength {strength}")
        way += f", {found['guidance_scale']:g}" if group == "guidance" else ""
        about = found["distribution"]
        lines.append(
            _row(
                way,
                found["pictures"],
                f"{about['farthest']:.3f}",
                f"{about['kl']:.3f} (fair draws {about['kl_floor']:.3f})",
                f"{found['subject']['share']:.1%}",
                f"{told['obeyed']['share']:.1%}" if told else "",
            )
        )
    return lines


def _pair(values: Sequence[float], form: str) -> str:
    return " -> ".join(format(value, form) for value in values)


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="*", help="section.setting=value")
    parser.add_argument("--experiment", type=Path, default=EXPERIMENT)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--outputs", type=Path, default=Path("outputs"))
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--report", action="store_true", help="only write the tables")
    options = parser.parse_args()
    measuring.quieten()
    if not options.report:
        for seed in options.seeds:
            first = seed == options.seeds[0]
            run_seed(options.experiment, options.outputs, seed, first, options.settings)
    found = [facts_of(options.experiment, options.outputs, seed) for seed in options.seeds]
    if done := [one for one in found if one is not None]:
        report(options.results, options.experiment, options.outputs, done)
        print((options.results / "debias.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    measuring.run(main)
