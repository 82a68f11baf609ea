"""How fast everything is, in one table: evaluations, sweeps, training steps, against the machine.

    python benchmarks/speed.py [--model FOLDER] [--device cuda] [--dtype bf16] [--compile]
    python benchmarks/speed.py --real-size

Everything is measured in one process, in turns, so that a machine that is slow for a while is slow
for all of it; ratios are taken within a turn. --real-size takes the shapes of Stable Diffusion 1.x
with random weights. Writes benchmarks/results/speed.md and .json, with -sd1 and the kind of device
behind the name where they are others. Some minutes on two cores; nothing needs to be watched.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import measuring
import speed_calls as calls
import torch
from measuring import spread, three_digits, times
from sweep_frame import BARE, OURS, PIPELINE

from cfg.batching import candidates_for, choose, measure
from diffusion.footprint import peak_of
from diffusion.stable_diffusion import StableDiffusion, load, locate
from lab.device import has_bf16, pick_device

TRAIN, TABLE = "training step, rows only (ours)", "training step, full table"
UNET, ENCODER = "the U-Net forward", "text encoder, forward and backward"
MEASURE, HELD_OUT = "measuring the objective", "the same, a quarter held out"
EVALUATION, DECODING, PRODUCT = "U-Net, {} at once", "decoding, {} at once", "matrix product, {}"
CONVOLUTION, CHANNELS_LAST = "3 x 3 convolution, {}", "channels last"
HEAD = ("what", "takes", "a second", "TFLOP/s", "of product", "of conv", "memory", "compared")
Seconds = dict[str, list[float]]


@dataclass(frozen=True)
class Thing:
    """What a call does: `count` of `unit`, with so many floating-point operations (0: not
    counted)."""

    call: calls.Call
    count: int = 1
    unit: str = ""
    operations: float = 0.0
    times: int = 1
    """For a sweep, calls of the U-Net; for a measurement, training steps between two."""


def arguments():
    options = measuring.parser("How fast evaluations, sweeps and training steps are.")
    add = options.add_argument
    add("--real-size", action="store_true", help="Stable Diffusion 1.x's shapes, random weights")
    add("--dtype", default="auto", help="fp32, bf16 or fp16; auto: fp32 for a small model on a CPU")
    add("--rounds", type=int, default=9, help="times that everything is measured")
    add("--warmups", type=int, default=1, help="rounds before that which are not counted")
    add("--steps", type=int, default=25, help="denoising steps of the sweep")
    add("--scales", type=int, default=8, help="pictures of the sweep; ours: at least a full wave")
    add("--batch-size", type=int, default=8, help="pictures of a training step")
    add("--sizes", type=int, nargs="+", help="predictions at once; default: what a sweep tries")
    add("--compile", action="store_true", help="also what torch.compile makes of it (minutes)")
    return options.parse_args()


def opened(options) -> StableDiffusion:
    device, dtype = pick_device(options.device), options.dtype
    if dtype == "auto":
        small = device.type == "cpu" and not options.real_size
        dtype = "fp32" if small or not has_bf16(device) else "bf16"
    if options.real_size:
        return calls.of_real_size(str(device), dtype)
    locate(options.model)  # a missing model is said before any work
    return load(options.model, str(device), dtype)


def evaluation(sd: StableDiffusion, size: int, cost: float) -> Thing:
    # a GPU has to be kept busy for a while, or the gaps between the calls are what is measured
    repeated = 1 if sd.device.type == "cpu" else max(2, 32 // size)
    call = calls.evaluation_call(sd, size, repeated)
    return Thing(call, size * repeated, "predictions", size * repeated * cost)


def otherwise(sd: StableDiffusion, compiled: bool) -> Iterator[tuple[str, StableDiffusion]]:
    """Other ways of computing the same."""
    other = calls.channels_last(sd)
    yield CHANNELS_LAST, other
    if compiled:
        yield "compiled", calls.compiled(sd)
        yield f"compiled, {CHANNELS_LAST}", calls.compiled(other)


def sweeps(
    sd: StableDiffusion, options, size: int, cost: tuple[float, float], folder: Path
) -> dict[str, Thing]:
    ours = max(options.scales, size)  # a wave has as many guided pictures as a call predictions
    made, counter = calls.sweep_calls(sd, options.steps, (ours, options.scales), size, folder)
    made[OURS]()  # what it evaluates is counted while it draws, and repeated by BARE
    work = counter.predictions * size * cost[0] + counter.decodings * max(1, size // 2) * cost[1]
    return {
        OURS: Thing(made[OURS], ours, "pictures", work, counter.predictions),
        BARE: Thing(made[BARE], ours, "pictures", work, counter.predictions),
        PIPELINE: Thing(made[PIPELINE], options.scales, "pictures"),
    }


def trainings(sd: StableDiffusion, options, cost: float) -> dict[str, Thing]:
    training = calls.Training(sd, options.batch_size)
    unet, encoder = training.floor()
    # backward to the text costs what forward does, since no weight has a gradient
    work = 2.0 * options.batch_size * cost
    ours = training.ours()
    next(ours)  # measures what there is before the first step
    things = {TRAIN: Thing(ours.__next__, 1, "steps", work)}
    if options.compile:
        faster = training.ours(compiled=True)
        next(faster)
        things[f"{TRAIN}, compiled"] = Thing(faster.__next__, 1, "steps", work)
    things[TABLE] = Thing(training.full_table().__next__, 1, "steps")
    things[UNET] = Thing(unet, 1, "", work / 2)
    things[ENCODER] = Thing(encoder)
    if not options.real_size:
        for name, share in ((MEASURE, 0.0), (HELD_OUT, 0.25)):
            call, every = training.measuring(share)
            things[name] = Thing(call, times=every)
    return things


def all_things(
    sd: StableDiffusion, options, sizes: Sequence[int], size: int, folder: Path
) -> dict[str, Thing]:
    """Everything that is measured, in the order of the table."""
    things = {}
    for name, dtype in calls.PRODUCT.items():
        if dtype == torch.float32 or has_bf16(sd.device):
            call, count, work = calls.product_call(sd.device, dtype)
            things[PRODUCT.format(name)] = Thing(call, count, "products", count * work)
            call, count, work = calls.convolution_call(sd.device, dtype)
            things[CONVOLUTION.format(name)] = Thing(call, count, "convolutions", count * work)
    cost = calls.operations(sd)
    for count in sizes:
        things[EVALUATION.format(count)] = evaluation(sd, count, cost[0])
    drawn = max(1, size // 2)  # decoded at once, as a sweep does it
    decoded = DECODING.format(drawn)
    things[decoded] = Thing(calls.decoding_call(sd, drawn), drawn, "pictures", drawn * cost[1])
    for way, model in otherwise(sd, options.compile):
        things[f"{EVALUATION.format(size)}, {way}"] = evaluation(model, size, cost[0])
        if way == CHANNELS_LAST:
            call = calls.decoding_call(model, drawn)
            things[f"{decoded}, {way}"] = Thing(call, drawn, "pictures", drawn * cost[1])
    things |= sweeps(sd, options, size, cost, folder)
    return things | trainings(sd, options, cost[0])


def memory_of(device: torch.device, call: calls.Call) -> float:
    """Bytes that a call needs at once: on a GPU as allocated, elsewhere its tensors', counted,
    since a process gives back little of what it once had."""
    return measuring.peak_of(device, call) if device.type == "cuda" else peak_of(call)


def compared(things: Mapping[str, Thing], seconds: Seconds, size: int) -> dict[str, str]:
    """For some of the things, how they stand to others; ratios within a round."""

    def ratio(name: str, other: str, factor: float = 1.0) -> str:
        return times(measuring.ratios(seconds[name], [factor * t for t in seconds[other]]))

    said = {
        name: f"{ratio(name, plain)} x without"
        for plain in (EVALUATION.format(size), DECODING.format(max(1, size // 2)))
        for name in things
        if name.startswith(f"{plain},")
    }
    each = things[PIPELINE].count / things[OURS].count
    said[PIPELINE] = f"{ratio(PIPELINE, OURS, each)} x ours, for a picture"
    said[TABLE] = f"{ratio(TABLE, TRAIN)} x ours"
    said[TRAIN] = f"{ratio(TRAIN, UNET, 2)} x 2 U-Net forwards"
    for name in (MEASURE, HELD_OUT):
        if name in things:
            share = measuring.ratios(seconds[name], seconds[TRAIN]).median
            every = things[name].times
            said[name] = f"every {every} steps: {share / every:.1%} of the training"
    if (faster := f"{TRAIN}, compiled") in things:
        said[faster] = f"{ratio(faster, TRAIN)} x ours"
    return said


def table(
    things: Mapping[str, Thing],
    seconds: Seconds,
    memory: Mapping[str, float],
    size: int,
    numbers: str,
) -> str:
    said = compared(things, seconds, size)
    peaks = [
        things[name].operations / spread(seconds[name]).median
        for name in (PRODUCT.format(numbers), CONVOLUTION.format(numbers))
    ]
    rows = []
    for name, thing in things.items():
        middle = spread(seconds[name])
        speed = thing.operations / middle.median
        rate = f"{three_digits(thing.count / middle.median)} {thing.unit}" if thing.unit else ""
        work = [f"{speed / 1e12:.3g}", *(f"{speed / peak:.0%}" for peak in peaks)]
        work = work if speed else [""] * 3
        held = measuring.megabytes(memory[name])
        rows.append([name, measuring.seconds(middle), rate, *work, held, said.get(name, "")])
    return measuring.markdown(HEAD, rows)


def goals(things: Mapping[str, Thing], seconds: Seconds, size: int) -> str:
    """What a sweep and a training step come to, beside what they were meant to."""
    plain = EVALUATION.format(size)
    each = things[plain].count / size  # evaluations of a call
    alone = [things[OURS].times * t / each for t in seconds[plain]]
    pure = measuring.ratios(alone, seconds[OURS])
    whole = measuring.ratios(seconds[BARE], seconds[OURS])
    step = measuring.ratios(seconds[TRAIN], [2 * t for t in seconds[UNET]])
    pairs = zip(seconds[UNET], seconds[ENCODER], strict=True)
    least = measuring.ratios(seconds[TRAIN], [2 * unet + encoder for unet, encoder in pairs])

    def share(value: measuring.Spread) -> str:
        return f"{value.median:.1%} ({value.lower:.1%} to {value.upper:.1%})"

    return measuring.paragraph(f"""**The sweep** makes its evaluations at {share(pure)} of the rate
        of the same evaluations alone (goal: 90%), all of its decoding, measuring and writing
        included; with the decoder's evaluations counted as work, {share(whole)}. **A training
        step** takes {times(step)} times the floor of 2 x the U-Net forward (goal: 1.15), and
        {times(least)} times that floor with the text encoder's forward and backward.""")


def report(sd: StableDiffusion, options, facts, things, seconds, memory, first, size: int) -> str:
    dtype = str(sd.dtype).removeprefix("torch.")
    numbers = dtype if PRODUCT.format(dtype) in things else "bfloat16"
    side = calls.SIDES["cuda" if sd.device.type == "cuda" else "cpu"]
    kind = "allocated on the GPU" if sd.device.type == "cuda" else "needed for tensors, counted"
    how = measuring.paragraph(f"""Median (quartiles) of {options.rounds} rounds; in each, everything
        has its turn, and ratios are taken within a round. {measuring.name_of(sd)}, {sd.resolution}
        px, {dtype}. The sweep: {things[OURS].count} pictures, {options.steps} steps of ddim, {size}
        predictions at once, decoded and written; the loop calls diffusers' pipeline for each of
        {things[PIPELINE].count} pictures. A training step: {options.batch_size} pictures,
        {calls.VECTORS} vectors; the full table as in diffusers' example, its pictures in memory.
        *Of product, of conv*: the share of what is reached, in the same rounds and in {numbers},
        by the product of two matrices of {side:,} x {side:,} random numbers, and by a 3 x 3
        convolution of {calls.CHANNELS} channels: their libraries are not equally good everywhere.
        *Memory*: the most that was {kind}, in one call, beyond what was there before.""")
    head = f"# Speed{', at the size of Stable Diffusion 1.x' if options.real_size else ''}"
    return "\n\n".join([
        head, measuring.described(facts), how, table(things, seconds, memory, size, numbers),
        goals(things, seconds, size), *translating(first),
    ]) + "\n"  # fmt: skip


def translating(first: Mapping[str, float]) -> list[str]:
    """How long the first calls of what is compiled took, where something is."""
    each = [f"{name}: {took:.0f} s" for name, took in first.items() if "compiled" in name]
    said = measuring.paragraph(f"Translated at the first call ({'; '.join(each)}).")
    return [said] if each else []


def main() -> None:
    options = arguments()
    measuring.quieten()
    sd = opened(options)
    facts = measuring.machine(sd.device)
    tried = options.sizes or candidates_for(sd)
    size = tried[0] if len(tried) == 1 else choose(measure(sd, tried))
    sizes = options.sizes or sorted({1, 2, *tried})
    with tempfile.TemporaryDirectory() as folder:
        things = all_things(sd, options, sizes, size, Path(folder))
        memory, first = {}, {}
        for name, thing in things.items():
            begin = measuring.clock(sd.device)
            memory[name] = memory_of(sd.device, thing.call)
            first[name] = measuring.clock(sd.device) - begin
        made = {name: thing.call for name, thing in things.items()}
        seconds = measuring.interleaved(made, options.rounds, options.warmups, sd.device)
    text = report(sd, options, facts, things, seconds, memory, first, size)
    numbers = {
        "machine": facts, "model": sd.fingerprint, "dtype": str(sd.dtype), "batch_size": size,
        "steps": options.steps, "scales": options.scales, "training_batch": options.batch_size,
        "seconds": seconds, "memory": memory, "first": first,
        "operations": {name: thing.operations for name, thing in things.items()},
    }  # fmt: skip
    kind = "" if sd.device.type == "cpu" else f"-{sd.device.type}"
    name = f"speed{'-sd1' if options.real_size else ''}{kind}"
    measuring.keep(options.results, name, text, numbers)


if __name__ == "__main__":
    measuring.run(main)
