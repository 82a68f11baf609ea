"""Two claims about the training of unconditional models, in figures.

    python benchmarks/fine_tuning.py             # three seeds; some ten minutes of two cores
    python benchmarks/fine_tuning.py --report    # only the tables of what is done

Fine-tuning beats scratch at equal steps: experiments/fine-tuning.yaml and the same from scratch, by
the validation loss and by the distance of what is drawn to test pictures. The rates were chosen
beforehand: from scratch the one that the bundled model was trained with, from it half of that.

Two processes train the model of one: 20 steps of the preset `small` under `accelerate launch`.

Each seed has its own split, first weights, steps and pictures. What was stopped goes on.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import measuring
import torch

from ddpm.loading import load_unconditional
from lab.device import has_bf16, noise, pick_device
from studio import cli

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENT = ROOT / "experiments/fine-tuning.yaml"
WAYS = {
    "from scratch": ("ddpm.model.pretrained=", "ddpm.train.learning_rate=1e-3"),
    "fine-tuned": (),
}
SHORT = (
    "ddpm.model.pretrained=", "ddpm.train.steps=20", "ddpm.train.validate_every=10",
    "ddpm.measure=null", "ddpm.sample.count=4", "ddpm.sample.steps=5", "ddpm.dtype=fp32",
)  # fmt: skip
LAUNCH = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
LAUNCH += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]


def arguments():
    options = measuring.parser("Fine-tuning and scratch; one process and two.")
    options.add_argument("--outputs", type=Path, default=ROOT / "outputs", help="where runs go")
    options.add_argument("--seeds", type=int, default=3, help="how many")
    options.add_argument("--report", action="store_true", help="compute nothing")
    return options.parse_args()


def run_all(options, dtype: str) -> None:
    """Every seed and way, then 20 steps by one process and by two."""
    for seed in range(options.seeds):
        for way, changed in WAYS.items():
            done = [
                *changed,
                f"name={name_of(way, seed)}",
                f"ddpm.seed={seed}",
                f"ddpm.dtype={dtype}",
            ]
            ddpm(options.outputs, done)
    ddpm(options.outputs, [*SHORT, "name=one-process"])
    command = [str(EXPERIMENT), "--outputs", str(options.outputs), *SHORT, "name=two-processes"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-m", *LAUNCH, "-m", "ddpm", *command], env=environment, check=True
    )


def ddpm(outputs: Path, changed: list[str]) -> None:
    if code := cli.main(["ddpm", str(EXPERIMENT), "--outputs", str(outputs), *changed]):
        sys.exit(code)


def name_of(way: str, seed: int) -> str:
    return f"fine-tuning-{way.replace(' ', '-')}-{seed}"


def facts_of(outputs: Path, name: str) -> dict[str, Any] | None:
    """What a run found; None where it is not done."""
    folder = outputs / name / "ddpm"
    try:
        learned = json.loads((folder / "learned.json").read_text(encoding="utf-8"))
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if manifest["status"] != "complete":
        return None
    return {
        "validation": learned["validation"],
        "measure": manifest.get("measure"),
        "dtype": manifest["dtype"],
        "processes": manifest["processes"],
        "configuration": manifest["configuration"]["ddpm"],
    }


def compared(outputs: Path, seeds: int) -> tuple[list[list[str]], dict[str, Any]]:
    """Rows of the first table: a seed and way each."""
    rows, numbers = [], {}
    for seed in range(seeds):
        for way in WAYS:
            facts = facts_of(outputs, name_of(way, seed))
            if facts is None:
                continue
            numbers[f"{way}, seed {seed}"] = facts
            losses, found = dict(facts["validation"]), facts["measure"]
            half = losses[max(losses) // 2]
            rows.append([
                f"{way}, seed {seed}", f"{half:.4f}", f"{min(losses.values()):.4f}",
                f"{found['frechet']:.2f}", f"{found['floor']:.2f}", f"{found['learned']:.0%}",
            ])  # fmt: skip
    return rows, numbers


def one_and_two(outputs: Path) -> dict[str, Any] | None:
    """How far apart the models of one process and of two are."""
    names = ("one-process", "two-processes")
    facts = [facts_of(outputs, name) for name in names]
    if None in facts:
        return None
    one, two = (load_unconditional(outputs / name)[0] for name in names)
    x, t = noise((32, 3, 32, 32), 0), torch.arange(32) * 6
    with torch.no_grad():
        farthest = float((one(x, t).sample - two(x, t).sample).abs().max())
    losses = [fact["validation"] for fact in facts if fact]
    counts = [fact["processes"] for fact in facts if fact]
    return {"farthest": farthest, "processes": counts, "validation": losses}


def report(options, machine: dict[str, Any], rows, pair) -> str:
    text = [f"# Fine-tuning and scratch, one process and two\n\n{measuring.described(machine)}"]
    text.append(
        measuring.paragraph(f"""experiments/fine-tuning.yaml: drawn prints, which the bundled
        model has not seen; {len(rows) // 2} seeds, 150 steps of 32 pictures, the same U-Net
        (1,113,955 parameters), schedule and steps. Both predict v; validation is its mean
        squared error on 120 pictures that are not trained on, with averaged weights; FD-drawn64 is
        the Fréchet distance of 128 drawn pictures to 128 test pictures in DrawnNet's features (no
        FID), the floor that of 128 other test pictures.""")
    )
    head = ["", "validation, half way", "at best", "FD-drawn64", "floor", "copies"]
    text.append(measuring.markdown(head, rows))
    if pair:
        (*_, one), (*_, two) = pair["validation"]
        text.append(
            measuring.paragraph(f"""{pair["processes"][1]} processes (accelerate launch, gloo) and
            {pair["processes"][0]}, after 20 steps from scratch in fp32: predictions for 32 noises
            differ by {pair["farthest"]:.1e} at most; validation loss {two[1]:.7f}
            and {one[1]:.7f}. (Not all weights are equal: those that change no prediction, such as
            a bias before a norm, follow gradients of pure rounding.)""")
        )
    return "\n\n".join(text) + "\n"


def main() -> None:
    options = arguments()
    measuring.quieten()
    device = pick_device(options.device)
    if not options.report:
        run_all(options, "bf16" if has_bf16(device) else "fp32")
    rows, numbers = compared(options.outputs, options.seeds)
    pair = one_and_two(options.outputs)
    machine = measuring.machine(device)
    text = report(options, machine, rows, pair)
    numbers = {"machine": machine, "runs": numbers, "one_and_two": pair}
    measuring.keep(options.results, "fine_tuning", text, numbers)


if __name__ == "__main__":
    measuring.run(main)
