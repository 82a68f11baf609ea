"""A model is trained: from the last checkpoint on, to a DDPMPipeline's folder with a card."""

import json
import shutil
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMPipeline

from ddpm.card import write_card
from ddpm.config import Config, Schedule, Train
from ddpm.data import Pictures
from ddpm.loading import fingerprint, load_unconditional
from ddpm.models import new_scheduler, new_unet
from ddpm.training import Measured, State, Trainer, TrainStep, learning_rate, train
from lab import checkpoints
from lab.errors import UserError
from lab.processes import Processes
from lab.run import Progress, Run, write_json
from lab.trackers import tracked, within

VERSION = 1  # raised when the same configuration would give another model
MODEL, LEARNED, CHECKPOINTS = "model", "learned.json", "checkpoints"
KEEP = 2


@dataclass(frozen=True)
class Learned:
    """What learned.json says of a finished training."""

    key: str
    steps: int
    """How many were taken."""
    best_step: int
    """After which the weights were best: those that are kept."""
    validation: list[list[float]]
    """(step, validation loss), in order."""
    losses: list[float]
    """Of every step."""
    batch_size: int
    parameters: int

    @property
    def best_validation(self) -> float | None:
        """The lowest validation loss; None where nothing was measured."""
        return min((value for _, value in self.validation), default=None)


def open_model(config: Config, device: torch.device) -> tuple[Any, Any]:
    """The U-Net and scheduler that the experiment begins with, pretrained or new.

    Raises:
        UserError: there is no such model, or its pictures have another size than the data.
    """
    if config.model.pretrained:
        unet, scheduler = load_unconditional(config.model.pretrained, device)
        if config.schedule is not None:
            # what it predicts is the model's own
            own = scheduler.config.get("prediction_type", "epsilon")
            scheduler = new_scheduler(config.schedule, own)
        size = config.data.size if config.data else None
        if size is not None and unet.config["sample_size"] != size:
            raise UserError(
                f"the model {config.model.pretrained} draws pictures of "
                f"{unet.config['sample_size']} px: set ddpm.data.size to that, not {size}"
            )
        return unet, scheduler
    assert config.data is not None
    unet = new_unet(config.model, config.data.size, config.seed).to(device).eval()
    scheduler = new_scheduler(config.schedule or Schedule(), config.model.prediction)
    return unet.requires_grad_(False), scheduler


def key_of(config: Config, pictures: Pictures) -> str:
    """Of everything that decides the trained weights."""
    model = config.model.pretrained and fingerprint(config.model.pretrained)
    kept = decisive(config, include={"data", "model", "schedule", "train", "seed"})
    inputs = {"version": VERSION, "config": kept, "dtype": config.dtype, "model": model}
    return Run.fingerprint(inputs | {"pictures": pictures.fingerprint})


def decisive(config: Config, include: set[str] | None = None) -> dict[str, Any]:
    """The settings as they count for keys. A setting that came later than the first models does not
    count where it is as it was for these, so that they need not be trained again."""
    settings = config.model_dump(mode="json", by_alias=True, include=include)
    if settings["model"]["prediction"] == "epsilon":
        del settings["model"]["prediction"]
    if settings.get("film") and settings["film"]["guide"] is None:
        del settings["film"]["guide"]
    settings.pop("track", None)  # what is told to others changes nothing
    return settings


def read_learned(folder: Path) -> Learned | None:
    """What is said of the model that was trained in `folder`; None where none is finished."""
    try:
        said = json.loads((folder / LEARNED).read_text(encoding="utf-8"))
        return Learned(**said)
    except (OSError, ValueError, TypeError):
        return None


def learn(
    config: Config,
    run: Run,
    folder: Path,
    pictures: Pictures,
    processes: Processes,
    device: torch.device,
    dtype: torch.dtype,
    label: str = "training",
) -> Generator[Progress, None, tuple[Any, Any]]:
    """Train as `config` says, or find in `folder` what was trained so; returns the frozen U-Net
    with its best weights, and the scheduler.

    `folder` gets model/ (a DDPMPipeline with a card), learned.json and, in between, checkpoints/.
    All processes of a launch take part; the first one writes.
    """
    key = key_of(config, pictures)
    found = read_learned(folder)
    processes.wait()
    if found is None or found.key != key:
        yield from _train(config, run, folder, pictures, processes, device, dtype, label, key)
        processes.wait()
    else:
        _tell_again(config.train, run, label, found)
    return load_unconditional(folder / MODEL, device)


def _train(
    config: Config, run: Run, folder: Path, pictures: Pictures, processes: Processes,
    device: torch.device, dtype: torch.dtype, label: str, key: str,
) -> Generator[Progress, None, None]:  # fmt: skip
    assert config.train is not None
    unet, scheduler = open_model(config, device)
    unet.requires_grad_(True)
    trainer = Trainer(unet, scheduler, pictures, config, dtype, processes)
    saved = checkpoints.newest(folder / CHECKPOINTS, device)
    if saved is not None and saved["key"] != key:
        saved = None
    if saved is None and processes.index == 0:
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    processes.wait()
    before = _state_of(saved) if saved else None
    losses: list[float] = list(saved["losses"]) if saved else []
    done, total = len(losses), config.train.steps
    run.keep_metrics(lambda line: line.get("stage") != label or line["step"] <= done)
    yield Progress(label, done, total)
    state = before
    tracking = tracked(config.track, run, label, config, continued=done > 0)
    for step, state in within(tracking, train(trainer, before)):
        losses.append(step.loss)
        run.metric(**line_of(label, step))
        last = state.step == total
        if processes.index == 0 and (last or state.step % config.train.checkpoint_every == 0):
            _save(folder / CHECKPOINTS, key, state, losses)
        yield Progress(label, state.step, total, _said(step, state))
    assert state is not None
    if processes.index == 0:
        _finish(config, folder, trainer, scheduler, state, key, losses)


def _tell_again(settings: Train | None, run: Run, label: str, learned: Learned) -> None:
    """Write the lines of a training that is kept, where a run whose other settings changed has
    begun metrics.jsonl anew."""
    if settings is None or any(line.get("stage") == label for line in run.metrics()):
        return
    looks = {int(step): Measured(int(step), value) for step, value in learned.validation}
    for step, loss in enumerate(learned.losses, 1):
        rate = learning_rate(settings, step - 1)
        run.metric(**line_of(label, TrainStep(step, loss, rate, looks.get(step))))


def line_of(label: str, step: TrainStep) -> dict[str, Any]:
    """A line of metrics.jsonl: stage, step, loss, learning_rate and, where it was measured,
    validation."""
    line = {"stage": label, "step": step.step, "loss": step.loss}
    line |= {"learning_rate": step.learning_rate}
    return line | ({"validation": step.measured.validation} if step.measured else {})


def _said(step: TrainStep, state: State) -> str:
    best = state.best_measured
    measured = f"validation {best.validation:.4f} at best, " if best else ""
    return f"{measured}loss {step.loss:.4f}"


def _save(folder: Path, key: str, state: State, losses: list[float]) -> None:
    content = {"key": key, "losses": losses, **vars(state)}
    content["history"] = [list(vars(measured).values()) for measured in state.history]
    checkpoints.save(folder, state.step, content, KEEP)


def _state_of(saved: dict[str, Any]) -> State:
    kept = {name: value for name, value in saved.items() if name not in ("key", "losses")}
    kept["history"] = tuple(Measured(*values) for values in kept["history"])
    return State(**kept)


def _finish(
    config: Config, folder: Path, trainer: Trainer, scheduler: Any, state: State, key: str,
    losses: list[float],
) -> None:  # fmt: skip
    """Save the model as a whole folder, then the file that says so."""
    best = state.best_measured
    learned = Learned(
        key=key,
        steps=state.step,
        best_step=best.step if best else state.step,
        validation=[[measured.step, measured.validation] for measured in state.history],
        losses=[round(loss, 6) for loss in losses],
        batch_size=state.batch_size,
        parameters=sum(parameter.numel() for parameter in trainer.unet.parameters()),
    )
    making = folder / f"{MODEL}.part"
    shutil.rmtree(making, ignore_errors=True)
    DDPMPipeline(trainer.unet, scheduler).save_pretrained(making)
    timesteps = int(scheduler.config["num_train_timesteps"])
    write_card(making / "README.md", config, trainer.pictures, learned, timesteps)
    (folder / LEARNED).unlink(missing_ok=True)
    shutil.rmtree(folder / MODEL, ignore_errors=True)
    making.replace(folder / MODEL)
    write_json(folder / LEARNED, asdict(learned))
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
