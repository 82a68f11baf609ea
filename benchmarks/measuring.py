"""What both benchmarks share: interleaved timing, peak memory, tables and where they are kept."""

import argparse
import gc
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from diffusion.stable_diffusion import StableDiffusion
from lab.errors import UserError
from lab.run import write_json, write_text

MB = 1e6
PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "numpy")
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of repeated measurements."""

    median: float
    lower: float
    upper: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles; of one value, thrice that value."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, lower, upper, len(values))


def ratios(values: Sequence[float], reference: Sequence[float]) -> Spread:
    """values / reference, round by round: what slows a whole round down cancels."""
    return spread([value / other for value, other in zip(values, reference, strict=True)])


def interleaved(
    variants: Mapping[str, Callable[[], Any]],
    rounds: int,
    warmups: int = 1,
    device: str | torch.device = "cpu",
) -> dict[str, list[float]]:
    """Seconds of each variant, called A B C A B C ...; the warm-up rounds are not counted.

    One after the other within every round, so that a machine that is slow for a while is slow for
    all of them.
    """
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(-warmups, rounds):
        for name, call in variants.items():
            gc.collect()
            start = clock(device)
            call()
            if number >= 0:
                times[name].append(clock(device) - start)
        said = "warming up" if number < 0 else f"round {number + 1} of {rounds}"
        print(f"\r{said}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return times


def clock(device: str | torch.device) -> float:
    """Seconds, after all work that the device was given is done."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def peak_of(device: str | torch.device, call: Callable[[], Any]) -> float:
    """Bytes at the highest moment of `call`, minus what was in use when it began.

    On CUDA what torch allocated. Elsewhere the process's resident memory. Linux can forget an older
    peak (that of loading the model); where that is not possible the peak is `ru_maxrss`, and work
    that stays below an older peak counts as nothing.
    """
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    forget_peak()
    before = resident_peak()
    call()
    return resident_peak() - before


def forget_peak() -> None:
    """Let Linux count the peak of resident memory anew (man 5 proc, clear_refs)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def resident_peak() -> float:
    """Bytes of the highest resident memory of this process."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024
    except (OSError, StopIteration):
        # macOS counts bytes, others kilobytes
        unit = 1 if sys.platform == "darwin" else 1024
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def in_own_process(variant: str, *more: str) -> float:
    """The peak, in bytes, of one variant of the running script, in a fresh process."""
    print(f"memory of: {variant}", file=sys.stderr)
    command = [sys.executable, *sys.argv, *more, "--memory-of", variant]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if finished.returncode:
        sys.exit(f"error: {variant} failed in its own process")
    return float(finished.stdout.split()[-1])


def parser(description: str) -> argparse.ArgumentParser:
    """The options that both scripts have."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--model", default="storybook", help="storybook or a diffusers folder")
    options.add_argument("--device", default="auto", help="auto, cpu or cuda")
    options.add_argument(
        "--results", type=Path, default=HERE / "results", help="folder of the table and its numbers"
    )
    options.add_argument("--memory-of", help=argparse.SUPPRESS)
    return options


def run(main: Callable[[], None]) -> None:
    """Run a script: what the user can cure is one sentence and exit status 2."""
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def quieten() -> None:
    """Silence what the libraries say while they load: it hides the results."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # for the processes started from here
    warnings.filterwarnings("ignore", category=FutureWarning)
    for library in (transformers, diffusers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


def machine(device: str | torch.device) -> dict[str, Any]:
    """Date, processor, threads, versions and git commit."""
    device = torch.device(device)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True
    )
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": load,
        "gpu": name,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "commit": commit.stdout.strip() or None,
    }


def name_of(sd: StableDiffusion) -> str:
    """The model without the folder it happened to lie in, and its fingerprint."""
    name = sd.name if sd.name == "storybook" else Path(sd.name).name
    return f"Model {name} ({sd.fingerprint})"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def described(facts: Mapping[str, Any]) -> str:
    """One paragraph about the machine and the moment."""
    packages = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    where = facts["gpu"] or f"{facts['processor']}, {facts['cores']} cores"
    load = "" if facts["load"] is None else f", load of the last minute {facts['load']:.1f}"
    return paragraph(
        f"{facts['date']}, commit {facts['commit']}. {where}, torch with {facts['threads']} "
        f"thread(s){load}. {facts['system']}; {packages}."
    )


def seconds(value: Spread) -> str:
    """`1.20 s (1.18-1.25)`, or milliseconds below a tenth of a second."""
    unit, factor = ("ms", 1000) if value.median < 0.1 else ("s", 1)
    a, b, c = (three_digits(v * factor) for v in (value.median, value.lower, value.upper))
    return f"{a} {unit} ({b}-{c})"


def times(value: Spread) -> str:
    """`1.52 (1.49-1.56)`."""
    a, b, c = (three_digits(v) for v in (value.median, value.lower, value.upper))
    return f"{a} ({b}-{c})"


def how_much_more(value: float, reference: float) -> str:
    """The ratio of two peaks; `-` where the reference is too small to be seen."""
    return three_digits(value / reference) if reference > 0 else "-"


def megabytes(value: float) -> str:
    """`12.3 MB`, of 10^6 bytes."""
    return f"{three_digits(value / MB)} MB"


def three_digits(value: float) -> str:
    """Three digits that count, or all before the point: 0.0123, 1.20, 123, 1,234."""
    if value <= 0:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def paragraph(text: str) -> str:
    """Text broken anew into lines of at most 100 characters."""
    return textwrap.fill(" ".join(text.split()), 100, break_on_hyphens=False)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the columns after the first are aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def keep(folder: Path, name: str, text: str, numbers: Mapping[str, Any]) -> None:
    """Print the report and write NAME.md and NAME.json."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{name}.md", text)
    write_json(folder / f"{name}.json", numbers)
    print(text)
    print(json.dumps({"written": [f"{name}.md", f"{name}.json"]}), file=sys.stderr)
