"""Which run draws what the guidance form asks for, and how fast that is on this machine."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cfg.config import Config, exact_scales
from lab.errors import UserError
from lab.run import MANIFEST

SHOWING = ("video", "sheet", "analysis", "page", "memory", "device", "guidance_scales")
"""Settings that decide no pixel of a picture at a given scale."""


def pace(outputs: Path, model: str) -> float | None:
    """Seconds for one step of one picture here, as the latest sweep with this model measured it."""
    latest: tuple[float, float] | None = None
    for path in outputs.glob(f"*/cfg/{MANIFEST}"):
        try:
            when = path.stat().st_mtime
            said = json.loads(path.read_text(encoding="utf-8"))
            if said["configuration"]["cfg"]["model"] != model or (latest and when < latest[0]):
                continue
            measured = json.loads((path.parent / "batch-size.json").read_text(encoding="utf-8"))
            spent = float(measured["seconds_per_prediction"][str(measured["batch_size"])])
        except (OSError, ValueError, LookupError, TypeError):
            continue
        latest = when, 2 * spent  # a picture needs two predictions a step
    return None if latest is None else latest[1]


def place_for(
    outputs: Path,
    wished: str,
    section: Mapping[str, Any],
    taken: Callable[[str], bool] = lambda name: False,
) -> tuple[str, dict[str, Any]]:
    """The name of the run that draws a section, and the section as that run is to have it.

    A run that draws the same pictures at other scales is continued, if one range of scales contains
    the other; pictures that are there are then not drawn again. What is different gets a folder of
    its own, `NAME-2` and so on, because a sweep keeps no pictures of other settings. `taken` says
    whether a name without a folder is somebody else's.
    """
    stem = wished or _stem(section["prompt"])
    for number in range(1, 10_000):
        name = stem if number == 1 else f"{stem}-{number}"
        folder = outputs / name / "cfg"
        if folder.exists():
            if (joined := _joined(folder, section)) is not None:
                return name, joined
        elif not taken(name):
            return name, dict(section)
    raise UserError(f"{stem} is taken ten thousand times; choose another name")


def _joined(folder: Path, section: Mapping[str, Any]) -> dict[str, Any] | None:
    """The section with the wider scales of it and of the run in `folder`; None if that run draws
    other pictures, or neither range has all scales of the other."""
    try:
        said = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        old = Config.model_validate_json(json.dumps(said["configuration"]["cfg"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None
    new = Config.model_validate_json(json.dumps(dict(section)))
    if _essence(old) != _essence(new):
        return None
    before, after = set(exact_scales(old.guidance_scales)), set(exact_scales(new.guidance_scales))
    if before <= after:
        return dict(section)
    if after <= before:
        written = said["configuration"]["cfg"]["guidance_scales"]
        return {**section, "guidance_scales": written}
    return None


def _essence(config: Config) -> dict[str, Any]:
    """What decides the pictures of a configuration, whatever the scale."""
    said = config.model_dump(mode="json", by_alias=True, exclude=set(SHOWING))
    rules = [rule.essence() for rule in config.rules]
    return said | {"prompt": config.prompts, "seed": config.seeds, "rule": rules}


def _stem(prompt: str | Sequence[str]) -> str:
    first = prompt if isinstance(prompt, str) else prompt[0]
    return re.sub(r"[^a-z0-9]+", "-", first.lower())[:40].strip("-") or "guidance"
