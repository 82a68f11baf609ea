"""The ddpm job: pictures -> a diffusion model -> pictures, studies, films, measures, a report."""

from collections.abc import Callable, Iterator

from ddpm import checks, films, guiding, looks, measuring, report, samples, strips, studies
from ddpm.config import Config
from ddpm.data import FOLDER, key_of, read_pictures
from ddpm.forecast import sentences
from ddpm.learning import LEARNED, MODEL, decisive, learn, open_model, read_learned
from ddpm.loading import fingerprint
from ddpm.sources import Source, open_source
from ddpm.stages import Bench
from lab.device import pick_autocast, pick_device
from lab.processes import Processes
from lab.run import Progress, Run
from lab.trackers import FOLDER as TRACKED
from lab.trackers import require_tracker

VERSION = 2  # raised when the same configuration would give another result
Stage = Callable[[Config, Run, Bench], Iterator[Progress]]
STAGES: list[Stage] = [
    looks.stage,
    samples.stage,
    strips.schedules,
    studies.timesteps,
    studies.randomness,
    studies.samplers,
    guiding.stage,
    films.film,
    measuring.measure,
    report.report,
]
"""What is done with the model, in this order. Each stage looks at its own section and does nothing
without it, finds what it has done before in the run folder, and names its files with `run.show`.
Of several processes only the first one runs the stages."""
MADE = ["*.html", "*.png", "samples", "study", f"{TRACKED}/trainingT*", "guide", "film", "measure"]
"""What stages leave, the models of studies with their curves included, to be removed when the
configuration has changed; the model stays, with its curve, where its own part of it has not."""


def run(config: Config, run: Run) -> Iterator[Progress]:
    """Train if wanted, then every stage.

    Raises:
        UserError: no pictures, no model, sizes that do not fit, a dtype that the device has not,
            parts of a stage that are not there: all of it before anything is written. Too few test
            pictures: once they are read, before anything is trained.
    """
    require_tracker(config.track)
    device = pick_device(config.device)
    dtype = pick_autocast(config.dtype, device, "ddpm.dtype")
    source = open_source(config.data) if config.data else None
    key = _key(config, source)
    processes = Processes(config.device)
    begun = run.read_manifest().get("key") == key
    if not begun:
        _, scheduler = open_model(config, device)
        checks.require_parts(config, scheduler, device)
    processes.wait()
    if run.is_complete(key, discard=MADE):
        return
    pictures = None
    if source is not None and config.data is not None:
        cache = run.folder.parent.parent / FOLDER
        if processes.index == 0:
            yield from read_pictures(source, config.data, config.seed, cache)
        processes.wait()
        pictures = yield from read_pictures(source, config.data, config.seed, cache)
        for sentence in (pictures.scan.sentence(config.data.size), *pictures.left_out):
            run.note(sentence)
        run.manifest |= {"dataset": pictures.fingerprint, "pictures": len(pictures.names)}
    checks.require_pictures(config, pictures)
    for sentence in checks.notes_of_texts(config):
        run.note(sentence)
    run.manifest |= {"device": str(device), "dtype": str(dtype), "seed": config.seed}
    run.manifest |= {"processes": processes.count}
    if config.train is not None and pictures is not None:
        unet, scheduler = yield from learn(
            config, run, run.folder, pictures, processes, device, dtype
        )
        _say(run)
    else:
        unet, scheduler = open_model(config, device)
    if processes.index == 0:
        bench = Bench(unet, scheduler, pictures, device, dtype, Processes.alone())
        for stage in STAGES:
            yield from stage(config, run, bench)
    processes.wait()


def forecast(config: Config, run: Run) -> list[str]:
    """What `run` would train and draw, and how long that takes here, in sentences; nothing is
    written. What an earlier run has left is counted again.

    Raises:
        UserError: as `run`.
    """
    device = pick_device(config.device)
    dtype = pick_autocast(config.dtype, device, "ddpm.dtype")
    source = open_source(config.data) if config.data else None
    checks.require_parts(config, open_model(config, device)[1], device)
    said = sentences(config, device, dtype, source and source.count)
    return [*said, *checks.notes_of_texts(config)]


def _key(config: Config, source: Source | None) -> str:
    pictures = key_of(source, config.data) if source and config.data else None
    pretrained = config.model.pretrained
    model = pretrained and fingerprint(pretrained)
    inputs = {"version": VERSION, "config": decisive(config), "pictures": pictures, "model": model}
    return Run.fingerprint(inputs)


def _say(run: Run) -> None:
    learned = read_learned(run.folder)
    assert learned is not None
    run.show(run.folder / MODEL, "the model, a DDPMPipeline for diffusers")
    run.show(run.folder / LEARNED, "losses and validation losses of its training")
    run.manifest |= {"parameters": learned.parameters, "batch_size": learned.batch_size}
    if learned.best_validation is not None:
        run.note(
            f"validation loss {learned.best_validation:.4f} after step {learned.best_step:,} "
            f"of {learned.steps:,}"
        )
