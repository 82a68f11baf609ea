"""One picture -> its crops, captions and masks as files, and a record of them.

This is what the worker processes do. What comes of a picture depends on nothing but its task, so it
does not matter which process did it, or when; and a record that is there with the same key, and its
files, is that work done.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops

from cropping import cleaning, duplicates
from cropping.buckets import bucket_for
from cropping.cleaning import Flaw
from cropping.config import Config
from cropping.corrections import Correction, corrected, said
from cropping.detectors import Detector, load_detector
from cropping.padding import render
from cropping.plan import Plan, plan
from cropping.sources import Source
from cropping.subject import saliency
from cropping.view import View
from cropping.window import Box, Window
from lab.captions import Caption
from lab.images import ImageError, read_image, read_with_alpha, save_png
from lab.masks import MASK_SUFFIXES
from lab.run import Run, write_atomically, write_json, write_text

VERSION = 7  # part of every key: raise it when the same input gives other crops
THUMBNAIL = 320  # px, long side of the source as the report shows it
RECORDS = "sources"

Record = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """A picture, what is to be done with it, the run's folder, and which detector takes part (its
    `detectors.identity`)."""

    source: Source
    config: Config
    folder: Path
    detector: str = ""

    @property
    def key(self) -> str:
        """Equal for tasks with equal results."""
        decided = {"source", "workers", "strict", "corrections", "drop_duplicates", "drop_blank"}
        source = self.source
        return Run.fingerprint(
            {
                "versions": versions(),
                "config": self.config.model_dump(mode="json", exclude=decided),
                "source": [source.sha256, source.stem, source.path],
                "caption": [source.caption.text, source.caption.origin, source.problem],
                "mask": source.mask[1] if source.mask else None,
                "correction": source.correction,
                "detector": self.detector,
            }
        )

    @property
    def record_file(self) -> Path:
        return self.folder / RECORDS / f"{self.source.stem}.json"


@cache
def versions() -> dict[str, str]:
    """What decides a crop's bytes, beside its settings."""
    found = {"cropping": str(VERSION)}
    for package in ("pillow", "numpy", "opencv-python-headless", "opencv-python"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def cut_source(task: Task) -> Record:
    """Cut a picture and write what came of it; the record has "problem" alone where it cannot be
    read. Work that was done before is not done again."""
    if record := kept_record(task):
        return record
    source, config = task.source, task.config
    if source.correction and source.correction.drop:
        return {"source": source.path.as_posix(), "name": source.name, "dropped": "by hand"}
    try:
        picture, alpha = read_with_alpha(source.path)
        weights = [alpha] if alpha else []
        if source.mask:
            weights.append(read_image(source.mask[0]).convert("L"))
    except ImageError as error:
        return {"source": source.path.as_posix(), "name": source.name, "problem": str(error)}
    correction = source.correction or Correction()
    view = View(picture)
    flaws = cleaning.find_flaws(view, config.scans.find)
    if config.scans.repair and flaws and correction.damage:
        picture = cleaning.repair(picture, flaws)
        view = View(picture)
    elif flaws and correction.damage:
        weights.append(Image.fromarray(cleaning.weights_of(flaws, picture.size)))
    if correction.ignore:
        weights.append(_without(picture.size, correction.ignore))
    chosen = choose(picture, view, config, correction, _detector(config, task.detector))
    crops = [
        _write_crop(task, picture, weights, chosen, index) for index in range(len(chosen.windows))
    ]
    record = _describe(task, view, chosen, flaws) | {"crops": crops}
    _write_thumbnail(task, view)
    write_json(task.record_file, record)
    return record


def kept_record(task: Task) -> Record | None:
    """What an earlier run made of this very task, if all of it is still there."""
    try:
        record = json.loads(task.record_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("key") != task.key:
        return None
    return record if all((task.folder / file).is_file() for file in files_of(record)) else None


def files_of(record: Record) -> list[str]:
    """Every file that belongs to a record, by its path in the run's folder."""
    if "crops" not in record:
        return []
    found = [f"{RECORDS}/{record['stem']}.json", f"{RECORDS}/{record['stem']}.jpg"]
    for crop in record["crops"]:
        found += [crop["file"], Path(crop["file"]).with_suffix(".txt").as_posix()]
        found += [crop["mask"]] if crop["mask"] else []
    return found


def choose(
    picture: Image.Image,
    view: View,
    config: Config,
    correction: Correction,
    detector: Detector | None,
) -> Plan:
    """The windows, as the correction has them or else as the settings do."""
    if correction.focus or correction.boxes:
        square = (config.size, config.size)
        out = bucket_for(picture.size, config.size) if config.buckets else square
        by_hand = corrected(correction, saliency(view), picture.size, out)
        assert by_hand is not None
        return by_hand
    way = correction.strategy
    return plan(
        picture,
        config.size,
        strategy=config.strategy if way in (None, "pad", "tiles") else way,
        pad="always" if way == "pad" else "never" if way else config.pad,
        tiles=way == "tiles" or (way is None and config.tiles),
        buckets=config.buckets,
        detector=detector,
        most_lost=config.most_lost,
        most_cut=config.most_cut,
        view=view,
    )


def load_settings(config: Config, detector: str) -> None:
    """Make sure that the models which the settings name are there, before anything is written.

    Raises:
        UserError: the detector cannot be loaded.
    """
    _detector(config, detector)


@cache
def _load_detector(name: str, identity: str, labels: tuple[str, ...]) -> Detector:
    return load_detector(name, labels)


def _detector(config: Config, identity: str) -> Detector | None:
    return _load_detector(config.detector, identity, config.labels) if config.detector else None


def _write_crop(
    task: Task, picture: Image.Image, weights: list[Image.Image], chosen: Plan, index: int
) -> Record:
    """Write one crop, its caption and its mask; its part of the record."""
    config, caption = task.config, _caption_of(task, index)
    window = chosen.windows[index]
    crop, padding = render(picture, window, chosen.size, config.fill)
    mask = cut_mask(weights, picture.size, window, chosen.size, padding)
    name = task.source.stem + (f" tile {index + 1}" if len(chosen.windows) > 1 else "")
    file, mask_file = f"images/{name}.png", None
    if mask and config.scans.masks == "file":
        mask_file = f"images/{name}{MASK_SUFFIXES[0]}"
        save_png(mask, task.folder / mask_file, by_runs=True)
    elif mask and config.scans.masks == "alpha":
        crop = crop.copy()
        crop.putalpha(mask)
    save_png(crop, task.folder / file, by_runs=True)
    text = " ".join(f"{config.captions.prefix} {caption.text}".split())
    write_text(task.folder / "images" / f"{name}.txt", text + "\n")
    width, height = chosen.size
    return {
        "file": file,
        "caption": text,
        "caption_from": caption.origin,
        "box": list(window.box.corners),
        "size": [width, height],
        "scale": round(max(width / window.box.width, height / window.box.height), 4),
        "kind": "pad" if padding else "tile" if len(chosen.windows) > 1 else "crop",
        "reason": window.reason,
        "lost_mass": window.lost_mass,
        "mask": mask_file,
        "learned": round(float(np.asarray(mask).mean()) / 255, 4) if mask else 1.0,
        "detail": duplicates.detail(crop.convert("RGB")),
    }


def _caption_of(task: Task, index: int) -> Caption:
    """A crop's own caption if a person gave it one, else the picture's, or a model's to come."""
    own = task.source.correction.captions if task.source.correction else ()
    if own and own[index].strip():
        return Caption(" ".join(own[index].split()), "correction")
    if task.config.captions.automatic and _wants_automatic(task.source, task.config):
        return Caption("", "waiting")
    return task.source.caption


def _wants_automatic(source: Source, config: Config) -> bool:
    """Whether a model's words take part in a caption: not where a person or a copied sidecar has
    the last word."""
    copied = source.caption.origin == "sidecar" and config.captions.sidecar == "copy"
    return source.caption.origin != "correction" and not copied


def cut_mask(
    weights: list[Image.Image],
    picture: tuple[int, int],
    window: Window,
    size: tuple[int, int],
    padding: Image.Image | None,
) -> Image.Image | None:
    """The mask of a crop ("L"; 255: learn, 0: ignore), None where all of it is learned from.

    Args:
        weights: masks of the whole picture, each at any size; they multiply.
        picture: the picture's width and height in px.
        padding: `render`'s mask of the same window.
    """
    total = padding or Image.new("L", size, 255)
    place = padding.getbbox() if padding else (0, 0, *size)
    assert place is not None  # render leaves at least a pixel of the picture
    inside = window.box.inside(picture)
    for weight in weights:
        across, down = weight.width / picture[0], weight.height / picture[1]
        box = (inside.x0 * across, inside.y0 * down, inside.x1 * across, inside.y1 * down)
        out = (place[2] - place[0], place[3] - place[1])
        part = weight.resize(out, Image.Resampling.BILINEAR, box=box)
        placed = Image.new("L", size, 0)
        placed.paste(part, place[:2])
        total = ImageChops.multiply(total, placed)
    return total if total.getextrema() != (255, 255) else None


def _without(size: tuple[int, int], boxes: tuple[tuple[int, int, int, int], ...]) -> Image.Image:
    mask = Image.new("L", size, 255)
    for corners in boxes:
        mask.paste(0, Box(*corners).inside(size).corners)
    return mask


def _describe(task: Task, view: View, chosen: Plan, flaws: tuple[Flaw, ...]) -> Record:
    source = task.source
    return {
        "key": task.key,
        "stem": source.stem,
        "name": source.name,
        "source": source.path.as_posix(),
        "source_sha256": source.sha256,
        "source_size": list(view.size),
        "hash": duplicates.perceptual_hash(view.image),
        "kind": chosen.kind,
        "strategy": "by hand" if chosen.reason == "corrected by hand" else task.config.strategy,
        "reason": chosen.reason,
        "lost_mass": chosen.lost_mass,
        "warnings": [*chosen.warnings, *([source.problem] if source.problem else [])],
        "flaws": [
            {"kind": flaw.kind, "score": round(flaw.score, 3), "outlines": flaw.outlines}
            for flaw in flaws
        ],
        "masked": bool(flaws)
        and (source.correction or Correction()).damage
        and not task.config.scans.repair,
        "correction": said(source.correction) if source.correction else None,
    }


def _write_thumbnail(task: Task, view: View) -> None:
    small = Image.fromarray(view.at(THUMBNAIL))
    write_atomically(
        task.record_file.with_suffix(".jpg"),
        lambda path: small.save(path, format="JPEG", quality=82),
    )
