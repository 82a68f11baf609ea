"""Search, and run the best trial again in a new process: `python benchmarks/search.py`.

Writes results/search.md with every trial of experiments/search.yaml and whether the best one's file
gave the same figure again, and docs/pictures/search.png. About two minutes of CPU time.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from lab.run import write_text

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "search.md"
PICTURE = ROOT / "docs" / "pictures" / "search.png"


def run(file: Path, outputs: Path) -> None:
    """`pseudoword run`, in a process of its own; what is done already is not repeated."""
    command = [sys.executable, "-m", "studio", "run", str(file), "--outputs", str(outputs)]
    subprocess.run(command, cwd=ROOT, check=True)


def best_validation(folder: Path) -> float:
    """The best point of the curve that a job wrote."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return min(line["validation"] for line in lines if line.get("validation") is not None)


def report(tune: Path, again: float) -> str:
    """The trials as a table, the best ones first."""
    trials = json.loads((tune / "trials.json").read_text(encoding="utf-8"))
    best = json.loads((tune / "manifest.json").read_text(encoding="utf-8"))["best"]
    said = "the same" if again == best["value"] else f"another one, {again!r}"
    settings = list(best["settings"])
    lines = [
        "# A search, once to its end",
        "",
        "`python benchmarks/search.py` runs experiments/search.yaml (seed 0) and then, in a new "
        "process, the best trial's file.",
        "",
        f"Best: trial {best['number']}, validation loss {best['value']!r}. Its file, run again, "
        f"gave {said}. {sum(t['state'] == 'pruned' for t in trials)} of {len(trials)} trials were "
        f"stopped early, {sum(t['state'] == 'failed' for t in trials)} failed (NaN).",
        "",
        "![Every trial a line through its settings](../../docs/pictures/search.png)",
        "",
        f"| trial | {' | '.join(s.split('.')[-1] for s in settings)} | validation loss | ended |",
        f"|---:|{'---:|' * len(settings)}---:|---|",
    ]
    order = ("complete", "pruned", "failed")
    for t in sorted(trials, key=lambda t: (order.index(t["state"]), t["value"] or 0)):
        values = " | ".join(f"{t['settings'][s]:.4g}" for s in settings)
        value = "–" if t["value"] is None else f"{t['value']:.4f}"
        lines.append(f"| {t['number']} | {values} | {value} | {t['reason'] or 'complete'} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Search, run the best again, write what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outputs", type=Path, default=ROOT / "outputs")
    outputs = parser.parse_args().outputs.resolve()
    run(ROOT / "experiments" / "search.yaml", outputs)
    tune = outputs / "search" / "tune"
    run(tune / "best.yaml", outputs)
    write_text(RESULTS, report(tune, best_validation(outputs / "search-best" / "ddpm")))
    shutil.copyfile(tune / "parallel.png", PICTURE)
    print(RESULTS)


if __name__ == "__main__":
    main()
