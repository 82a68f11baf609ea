"""The form of the tab Crop, as an experiment, and an experiment as the form."""

import itertools
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from cropping.duplicates import ALIKE, BLANK
from lab.errors import UserError
from lab.images import MASK_SUFFIXES, SUFFIXES
from studio.web.places import STUDIO, Places, short

WAYS: dict[str, dict[str, Any]] = {
    "automatic": {"pad": "auto", "tiles": False},
    "crop": {"pad": "never", "tiles": False},
    "tiles": {"tiles": True},
    "whole": {"pad": "always", "tiles": False},
}
"""What is done with every picture, in the settings' words."""
ALL_DAMAGE = ["gutter", "crease", "glare", "shading"]
TEXTS = (".txt",)
_MOST_FOLDERS = 200
_MOST_LOOKS = 1000  # folders: somebody may let the studio read all that is theirs
_DEEPEST = 3


@dataclass(frozen=True)
class Form:
    """What the form holds, in the order of its components."""

    source: str = ""
    """The folder that was typed or chosen."""
    dropped: str = ""
    """The folder in which dropped pictures were put; it counts where `source` is empty."""
    name: str = ""
    way: str = "automatic"
    size: float | None = 512
    fill: str = "edge"
    sidecar: str = "copy"
    prefix: str = ""
    strip_numbers: bool = True
    damage: str = "mask"
    buckets: bool = False
    twice: bool = False
    """Whether near-duplicates are left out; `blank`: whether empty crops are."""
    blank: bool = False
    detector: str = ""
    rest: Mapping[str, Any] = field(default_factory=dict)
    """Settings that the form has no field for, as a run that is made again brings them."""

    @property
    def values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, one.name) for one in fields(self))


def form_from(values: Sequence[Any]) -> Form:
    """The form from what its components hold; an empty field may be None.

    Raises:
        UserError: for what no component would hold.
    """
    held: dict[str, Any] = {}
    if len(values) != len(fields(Form)):
        raise UserError("the form is not the one of this page; reload it")
    for field_, value in zip(fields(Form), values, strict=True):
        name, default = field_.name, getattr(Form(), field_.name)
        if name == "size":
            held[name] = value
        elif value is None:
            held[name] = default
        elif isinstance(value, Mapping if name == "rest" else type(default)):
            held[name] = value
        else:
            raise UserError(f"{name} cannot be {str(value)[:40]!r}")
    return Form(**held)


def experiment_of(form: Form, corrections: Path) -> dict[str, Any]:
    """What an experiment file would hold.

    Raises:
        UserError: for what the settings' own check would not put into this form's words.
    """
    source = form.source.strip() or form.dropped
    if form.way not in WAYS:
        raise UserError(f"{form.way} is no way to cut pictures; there are {', '.join(WAYS)}")
    size = form.size
    if isinstance(size, bool) or not isinstance(size, int | float) or size != int(size):
        raise UserError("the size of the crops should be a whole number of pixels, such as 512")
    rest = dict(form.rest)
    scans, captions = _part(rest, "scans"), _part(rest, "captions")
    if form.damage == "leave":
        scans |= {"find": [], "repair": False}
    else:
        scans |= {"find": scans.get("find") or ALL_DAMAGE, "repair": form.damage == "repair"}
    section = rest | WAYS[form.way] | {
        "source": source,
        "size": int(size),
        "fill": form.fill,
        "buckets": form.buckets,
        "detector": form.detector.strip(),
        "captions": captions | {
            "sidecar": form.sidecar,
            "prefix": " ".join(form.prefix.split()),
            "strip_numbers": form.strip_numbers,
        },
        "scans": scans,
        "drop_duplicates": _kept(rest, "drop_duplicates", ALIKE) if form.twice else None,
        "drop_blank": _kept(rest, "drop_blank", BLANK) if form.blank else None,
        "corrections": str(corrections),
    }  # fmt: skip
    return {"name": form.name.strip(), "cropping": section}


def _part(rest: Mapping[str, Any], section: str) -> dict[str, Any]:
    part = rest.get(section, {})
    if not isinstance(part, Mapping):
        raise UserError(f"cropping.{section} should be settings, not {str(part)[:40]}")
    return dict(part)


def _kept(rest: Mapping[str, Any], setting: str, default: float) -> Any:
    value = rest.get(setting)
    return default if value is None else value


def form_of(configuration: Mapping[str, Any], outputs: Path) -> Form:
    """The form that makes such an experiment again."""
    section = dict(configuration.get("cropping") or {})
    source = str(section.pop("source", ""))
    was_dropped = _uploads(outputs) in Path(source).resolve().parents if source else False
    captions = dict(section.get("captions") or {})
    scans = dict(section.get("scans") or {})
    damage = "mask"
    if "find" in scans and not scans["find"]:
        damage = "leave"
    elif scans.get("repair"):
        damage = "repair"
    section.pop("corrections", None)
    return Form(
        source="" if was_dropped else source,
        dropped=source if was_dropped else "",
        name=str(configuration.get("name", "")),
        way=_way(section),
        size=section.pop("size", 512),
        fill=section.pop("fill", "edge"),
        sidecar=captions.pop("sidecar", "copy"),
        prefix=captions.pop("prefix", ""),
        strip_numbers=captions.pop("strip_numbers", True),
        damage=damage,
        buckets=section.pop("buckets", False),
        twice=section.get("drop_duplicates") is not None,
        blank=section.get("drop_blank") is not None,
        detector=section.pop("detector", ""),
        rest=section | {"captions": captions, "scans": scans},
    )


def _way(section: Mapping[str, Any]) -> str:
    if section.get("tiles"):
        return "tiles"
    return {"never": "crop", "always": "whole"}.get(section.get("pad", "auto"), "automatic")


# --- pictures that are dropped, and folders to choose from


def _uploads(outputs: Path) -> Path:
    return outputs.resolve() / STUDIO / "uploads"


def take_in(files: Sequence[str | Path], folder: Path) -> list[str]:
    """Copy dropped pictures, and the captions and masks beside them, into a folder.

    A name that is there already gets a number; the same file dropped twice is there once.

    Returns:
        The names of those that are no pictures.
    """
    refused: list[str] = []
    for file in map(Path, files):
        name = file.name.lstrip(".") or "picture"
        if file.suffix.lower() not in (*SUFFIXES, *TEXTS) or not file.is_file():
            refused.append(file.name)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        place, number = folder / name, 1
        while place.exists() and place.read_bytes() != file.read_bytes():
            number += 1
            place = folder / f"{Path(name).stem} ({number}){Path(name).suffix}"
        if not place.exists():
            shutil.copyfile(file, place)
    return refused


def pictures_in(folder: Path) -> list[Path]:
    """The pictures that lie in a folder itself; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.lower().endswith(MASK_SUFFIXES)
    )


def folders_of(places: Places) -> list[str]:
    """The folders with pictures that may be read, as one would type them, results left out."""
    found: list[str] = []
    looked = itertools.count()

    def look(folder: Path, depth: int) -> None:
        if len(found) >= _MOST_FOLDERS or next(looked) >= _MOST_LOOKS:
            return
        if folder == places.outputs or not folder.is_dir():
            return
        try:
            if pictures_in(folder):
                found.append(str(short(folder)))
            below = sorted(path for path in folder.iterdir() if path.is_dir())
        except OSError:  # not ours to read
            return
        for path in below:
            if depth < _DEEPEST and not path.name.startswith(".") and not path.is_symlink():
                look(path, depth + 1)

    for root in places.roots:
        look(root, 0)
    return list(dict.fromkeys(found))
