"""The form of the tab Denoise as an experiment, and an experiment as the form; which models there
are to choose from."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import ImageColor

from lab.errors import UserError
from storybook.families import FAMILIES
from studio.web.places import Places

BUNDLED = {
    "drawn:flowers": "Drawn flowers",
    "drawn:faces": "Drawn faces",
    "drawn": "Drawn pictures of five kinds",
}
SAMPLERS = {"ddim": "DDIM: smooth", "ddpm": "DDPM: with fresh noise", "dpm++": "DPM++: few steps"}
WEIGHTS = {"noise": "mostly at first", "constant": "always", "picture": "mostly at last"}
MOST_PICTURES, MOST_STEPS, LONGEST_TEXT = 64, 9_999, 300
INDEX = "model_index.json"
_RGB = re.compile(r"rgba?\(([\d.]+),([\d.]+),([\d.]+)(,[\d.]+)?\)")


@dataclass(frozen=True)
class Form:
    """What the inputs hold, in their order; anything may stand in them."""

    model: Any = "drawn:flowers"
    colour: Any = "#3060c0"
    colour_strength: Any = 0.06
    text: Any = "a red flower"
    text_strength: Any = 0.3
    seed: Any = "7"
    pictures: Any = 4
    steps: Any = 50
    sampler: Any = "ddim"
    weight: Any = "noise"
    clip: Any = "drawn"
    folder: Any = ""
    """Of a model that is not among those to choose from; counts where it is given."""


def experiment_of(form: Form, places: Places) -> dict[str, Any]:
    """The experiment that the form asks for. Equal forms have equal names, and so one folder.

    Raises:
        UserError: the first field that is not right, in one sentence.
    """
    losses = _losses(form, places)
    steps = whole(form.steps, "Steps", 1, MOST_STEPS)
    seed = str(form.seed).strip()
    if not re.fullmatch(r"[0-9]{1,15}", seed):
        raise UserError(f"the seed should be a whole number such as 7, not {_quoted(form.seed)}")
    film: dict[str, Any] = {
        "pictures": whole(form.pictures, "Pictures", 1, MOST_PICTURES),
        "formats": ["gif"],
        "most": steps + 1,
        "of": "both",
        "size": 768,
    }
    if losses:
        film["guide"] = {"losses": losses, "weight": _one_of(form.weight, WEIGHTS, "the weight")}
    sampler = _one_of(form.sampler, SAMPLERS, "the sampler")
    settings = {
        "model": {"pretrained": model_of(form, places)},
        "sample": {"count": 0, "seed": int(seed), "steps": steps, "sampler": sampler},
        "film": film,
    }
    return {"name": name_of(settings), "ddpm": settings}


def _losses(form: Form, places: Places) -> list[dict[str, Any]]:
    """A wish of strength 0 is none."""
    losses: list[dict[str, Any]] = []
    colour = hex_of(form.colour)
    if strength := strength_of(form.colour_strength, "the colour's strength"):
        losses.append({"loss": "colour", "target": colour, "scale": strength})
    text = " ".join(str(form.text or "").split())
    if len(text) > LONGEST_TEXT:
        raise UserError(f"the text has {len(text)} letters; {LONGEST_TEXT} are the most")
    strength = strength_of(form.text_strength, "the text's strength")
    if text and strength:
        loss = {"loss": "text", "target": text, "scale": strength}
        if clip := str(form.clip or "").strip():
            loss["clip"] = places.model(clip)
        losses.append(loss)
    return losses


def model_of(form: Form, places: Places) -> str:
    """The chosen model, or the folder that is given in its place.

    Raises:
        UserError: outside of the allowed folders, or no DDPMPipeline.
    """
    text = str(form.folder or "").strip() or str(form.model or "").strip()
    if text in BUNDLED:
        return text
    if not text:
        raise UserError("choose a model")
    path = places.inside(text)
    for folder in (path, path / "model", path / "ddpm" / "model"):
        if (folder / INDEX).is_file():
            return str(places.inside(str(folder)))
    raise UserError(
        f"{text} is no unconditional model: name the folder of a DDPMPipeline, which has a {INDEX}"
    )


def hex_of(colour: Any) -> str:
    """A colour of any notation as #rrggbb.

    Raises:
        UserError: where it is none.
    """
    text = re.sub(r"\s", "", str(colour or "")).lower()
    try:
        if match := _RGB.fullmatch(text):  # as pickers write it, with fractions
            levels = [round(float(part)) for part in match.groups()[:3]]
        else:
            levels = list(ImageColor.getrgb(text)[:3])
    except ValueError:
        levels = [-1]
    if not all(0 <= level < 256 for level in levels):
        raise UserError(f"{_quoted(colour)} is no colour: choose one, or write it as #c03020")
    return "#{:02x}{:02x}{:02x}".format(*levels)


def strength_of(value: Any, what: str) -> float:
    """A strength, 0 or more.

    Raises:
        UserError: for no number, a negative one, or one without end.
    """
    try:
        strength = float(value)
    except (TypeError, ValueError):
        strength = math.nan
    if not 0 <= strength <= 1000:
        raise UserError(f"{what} should be a number from 0 on, such as 0.1, not {_quoted(value)}")
    return round(strength, 4)


def whole(value: Any, what: str, least: int, most: int) -> int:
    """A whole number between two others.

    Raises:
        UserError: for anything else.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not least <= number <= most or number != int(number):
        raise UserError(
            f"{what} should be a whole number from {least} to {most:,}, not {_quoted(value)}"
        )
    return int(number)


def _one_of(value: Any, choices: Mapping[str, str], what: str) -> str:
    if value not in choices:
        raise UserError(f"{what} should be one of {', '.join(choices)}, not {_quoted(value)}")
    return str(value)


def _quoted(value: Any) -> str:
    text = "empty" if value is None or value == "" else repr(str(value))
    return text if len(text) < 60 else text[:60] + " ...'"


def name_of(settings: Mapping[str, Any]) -> str:
    """A name that says what is drawn, and tells apart whatever differs."""
    model = Path(settings["model"]["pretrained"].removeprefix("drawn:"))
    trained = model.name == "model" and model.parent.name == "ddpm"
    words = [model.parent.parent.name if trained else model.name]
    words += [loss["target"] for loss in settings["film"].get("guide", {}).get("losses", ())]
    slug = re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")[:48].strip("-")
    digits = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:6]
    return f"denoise-{slug}-{digits}"


def what_of(experiment: Mapping[str, Any]) -> str:
    """What the queue says of it."""
    film = experiment["ddpm"]["film"]
    wishes = [loss["target"] for loss in film.get("guide", {}).get("losses", ())]
    count = film["pictures"]
    return f"denoise {count} picture{'s' * (count > 1)}" + "".join(f", {one}" for one in wishes)


def fill(configuration: Mapping[str, Any], outputs: Path) -> Form:
    """The form that asks for what a run was told, as far as the form has words for it. Of a
    training, the form that draws with the model that it left."""
    settings = configuration.get("ddpm") or {}
    film, sample = settings.get("film") or {}, settings.get("sample") or {}
    lead = film.get("guide") or settings.get("guide") or {}
    found: dict[str, Any] = {"colour_strength": 0.0, "text": "", "text_strength": 0.0}
    for loss in lead.get("losses", ()):
        kind = loss.get("loss", "colour")
        found |= {kind: loss["target"], f"{kind}_strength": loss.get("scale", 0.3)}
        found |= {"clip": loss.get("clip", "drawn")} if kind == "text" else {}
    if lead.get("weight") in WEIGHTS:
        found["weight"] = lead["weight"]
    model = (settings.get("model") or {}).get("pretrained", "")
    if settings.get("train"):
        model = str(outputs / str(configuration.get("name", "")) / "ddpm" / "model")
    found |= {"model": model} if model else {}
    found |= {"seed": str(sample["seed"])} if "seed" in sample else {}
    found |= {"steps": sample["steps"]} if sample.get("steps") else {}
    found |= {"sampler": sample["sampler"]} if sample.get("sampler") in SAMPLERS else {}
    found |= {"pictures": film["pictures"]} if "pictures" in film else {}
    return Form(**(asdict(Form()) | found))


def models_of(outputs: Path) -> list[tuple[str, str]]:
    """(label, value) of each model that can be chosen: the bundled ones, then those that runs have
    trained, the newest first."""
    found = sorted(
        outputs.glob(f"*/ddpm/model/{INDEX}"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    trained = [(f"{path.parts[-4]} (trained here)", str(path.parent)) for path in found]
    return [(label, name) for name, label in BUNDLED.items()] + trained


@dataclass(frozen=True)
class Training:
    """What is asked of a training."""

    family: Any = "prints"
    folder: Any = ""
    """Of pictures to learn from; counts where it is given."""
    steps: Any = 600


def training_of(training: Training, places: Places) -> dict[str, Any]:
    """The experiment that fine-tunes the bundled model on a drawn family or a folder of pictures.

    Raises:
        UserError: a field that is not right, in one sentence.
    """
    steps = whole(training.steps, "Steps of the training", 1, 1_000_000)
    folder = str(training.folder or "").strip()
    if folder:
        source, name = str(places.inside(folder)), Path(folder).name
    else:
        family = _one_of(training.family, dict.fromkeys(FAMILIES, ""), "the family")
        source, name = f"drawn:{family}", f"drawn-{family}"
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:48] or "pictures"
    settings = {
        "data": {"source": source, "size": 32},
        "model": {"pretrained": "drawn"},
        "train": {
            "steps": steps,
            "batch_size": 16,
            "learning_rate": 5e-4,
            "ema": 0.99,
            "flip": False,
        },
        "sample": {"count": 16, "steps": 50, "sampler": "ddim"},
    }
    return {"name": f"model-{slug}-{steps}", "ddpm": settings}
