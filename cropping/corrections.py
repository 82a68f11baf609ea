"""Corrections by hand, which survive every rerun: a YAML file that a person or a program writes.

`corrections.yaml` in the source folder (or the file that `cropping.corrections` names) has one
entry for each picture to correct, named by its path in the source folder. All places are pixels of
the upright picture, as in crops.jsonl:

    07 a yellow cat.png:
      focus: [310, 120]             # the middle of the crop, as far as the picture reaches
    nested/08 doves.jpg:
      boxes: [[0, 40, 600, 640]]    # exactly these crops; a box of another shape is widened to it
      caption: two doves on a roof
    nested/08 a page.jpg:
      boxes: [[0, 0, 400, 400], [500, 0, 900, 400]]
      captions: [a sleeping cat, ""]    # one for each of the boxes; an empty one is the picture's
    09 a tent.png:
      strategy: pad                 # focal, centre, pad or tiles instead of the experiment's way
      ignore: [[0, 0, 80, 900]]     # training gives these parts no weight
      damage: false                 # what was found in this picture is none: do not mask it
    10 a stain.png:
      drop: true

A program that writes it should replace the file as a whole; only pictures whose entry changed are
cut again.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator
from ruamel.yaml import YAML

from cropping.plan import Plan
from cropping.window import Box, Window, largest, share_inside
from lab.config import ConfigError, Section, load_entries
from lab.errors import UserError
from lab.run import write_text
from lab.tree import Mistake, parse, read_text

NAME = "corrections.yaml"
HEAD = "# `pseudoword explain cropping.corrections` says what an entry may have.\n"
Corners = tuple[int, int, int, int]


class Correction(Section):
    """What a person decided about one picture. Places are pixels of the upright picture."""

    focus: tuple[float, float] | None = None
    """x and y that the crop is centred on, as far as the picture reaches."""
    boxes: Annotated[tuple[Corners, ...], Field(min_length=1)] | None = None
    """[x0, y0, x1, y1] of each crop. A box of another shape than the crops' is widened; where it
    leaves the picture it is padded."""
    strategy: Literal["focal", "centre", "pad", "tiles"] | None = None
    """How this picture is cut, instead of the experiment's way."""
    caption: str | None = None
    """The caption, instead of the sidecar's or the file name's."""
    captions: tuple[str, ...] = ()
    """One for each of `boxes`, in their order, instead of the picture's; an empty one is the
    picture's."""
    ignore: tuple[Corners, ...] = ()
    """[x0, y0, x1, y1] of parts that training gives no weight."""
    damage: bool = True
    """false: what was taken for damage in this picture is none, and is not masked."""
    drop: bool = False
    """true: make no crop of this picture."""

    @model_validator(mode="after")
    def _one_way(self) -> "Correction":
        ways = [w for w in ("focus", "boxes", "strategy") if getattr(self, w) is not None]
        if len(ways) > 1:
            raise ValueError(f"has {' and '.join(ways)}; keep one of them")
        if self.captions and len(self.captions) != len(self.boxes or ()):
            raise ValueError(
                f"has {len(self.captions)} captions for {len(self.boxes or ())} boxes; give each "
                'box one, "" for the picture\'s'
            )
        for x0, y0, x1, y1 in (*(self.boxes or ()), *self.ignore):
            if x0 >= x1 or y0 >= y1:
                raise ValueError(
                    f"[{x0}, {y0}, {x1}, {y1}] has nothing in it: it should be left, top, right, "
                    "bottom"
                )
        return self


def corrections_file(source: Path, setting: str) -> Path | None:
    """The file of corrections: the one that is named, else the one in the source folder, if any.

    Raises:
        UserError: when the one that is named does not exist.
    """
    if setting:
        path = Path(setting)
        if not path.is_file():
            raise UserError(f"cropping.corrections: {path} does not exist; name a YAML file")
        return path
    path = source / NAME
    return path if path.is_file() else None


def read_corrections(path: Path | None, pictures: dict[str, Path]) -> dict[str, Correction]:
    """The corrections by the pictures' paths in the source folder.

    Raises:
        ConfigError: with every mistake, each as file:line:column.
    """
    return load_entries(path, Correction, list(pictures)) if path else {}


def write_corrections(path: Path, entries: Mapping[str, Correction]) -> None:
    """Write a file that `read_corrections` reads as these entries, atomically; empty ones are left
    out.

    Raises:
        UserError: for a picture whose name no text file can hold.
    """
    plain = {name: said(entry) for name, entry in entries.items() if said(entry)}
    for name in plain:
        if not name.isprintable():
            raise UserError(f"{name!r} is no name that {path} can hold; rename the picture")
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None  # an entry on its own line, as one would write it
    yaml.allow_unicode, yaml.width = True, 10_000
    text = io.StringIO()
    if plain:
        yaml.dump(plain, text)
    write_text(path, f"{HEAD}{text.getvalue() or '{}'}".rstrip("\n") + "\n")


def said(entry: Correction) -> dict[str, Any]:
    """What an entry says, without what it leaves as it is: as in the file."""
    return entry.model_dump(mode="json", exclude_defaults=True)


def require_inside(path: Path, name: str, correction: Correction, size: tuple[int, int]) -> None:
    """Check a correction against the picture's width and height.

    Raises:
        ConfigError: for a place that is not in the picture, as file:line:column.
    """
    places: dict[str, tuple[Corners, ...]] = {
        "boxes": correction.boxes or (),
        "ignore": correction.ignore,
    }
    outside: list[tuple[str, int | None]] = []
    if correction.focus is not None:
        x, y = correction.focus
        if not (0 <= x <= size[0] and 0 <= y <= size[1]):
            outside.append(("focus", None))
    for key, boxes in places.items():
        for index, corners in enumerate(boxes):
            part = Box(*corners).inside(size)
            if part.width <= 0 or part.height <= 0:
                outside.append((key, index))
    if outside:
        tree = parse(read_text(path), str(path))
        keys = [(name, key) if index is None else (name, key, index) for key, index in outside]
        sentence = f"lies outside the picture, which has {size[0]} x {size[1]} px"
        raise ConfigError([Mistake(tree.place_of(k), f"{k[1]} {sentence}") for k in keys])


def corrected(
    correction: Correction, importance: np.ndarray, picture: tuple[int, int], out: tuple[int, int]
) -> Plan | None:
    """The plan that a correction's focus or boxes ask for; None where it has neither.

    Args:
        importance: [h, w], what matters in the picture, at any scale.
        picture: its width and height in px.
        out: width and height of the crops.
    """
    aspect = out[0] / out[1]
    if correction.focus is not None:
        boxes = [around(correction.focus, picture, aspect)]
    elif correction.boxes is not None:
        boxes = [widened(Box(*corners), picture, aspect) for corners in correction.boxes]
    else:
        return None
    lost = [round(1 - share_inside(importance, picture, box), 4) for box in boxes]
    windows = [Window(box, lost[k], "corrected by hand") for k, box in enumerate(boxes)]
    most = max(max(out[0] / w.box.width, out[1] / w.box.height) for w in windows)
    warnings = (f"enlarged {most:.2f} times",) if most > 1 else ()
    kind = "tiles" if len(windows) > 1 else "crop"
    return Plan(kind, tuple(windows), out, "corrected by hand", min(lost), warnings)


def around(focus: tuple[float, float], picture: tuple[int, int], aspect: float) -> Box:
    """The largest window whose middle is as near to `focus` as the picture lets it be.

    Args:
        focus: x and y in px of the picture.
        picture: its width and height in px.
        aspect: width / height of the window.
    """
    width, height = largest(picture, aspect)
    x = min(max(round(focus[0] - width / 2), 0), picture[0] - width)
    y = min(max(round(focus[1] - height / 2), 0), picture[1] - height)
    return Box(x, y, x + width, y + height)


def widened(box: Box, picture: tuple[int, int], aspect: float) -> Box:
    """The smallest box of an aspect that holds a box, in the picture as far as it fits there. A box
    that has the aspect stays as it is."""
    width, height = box.width, box.height
    if aspect < 1:  # the longer side follows from the shorter: so the result is not widened again
        width = max(width, round(height * aspect))
        height = max(height, round(width / aspect))
    else:
        height = max(height, round(width / aspect))
        width = max(width, round(height * aspect))
    x = _slide(box.x0 - (width - box.width) // 2, width, picture[0], box.x0, box.x1)
    y = _slide(box.y0 - (height - box.height) // 2, height, picture[1], box.y0, box.y1)
    return Box(x, y, x + width, y + height)


def _slide(start: int, length: int, room: int, low: int, high: int) -> int:
    """Where a span of `length` begins so that it lies in 0..room and still covers low..high."""
    if length <= room:
        start = min(max(start, 0), room - length)
    return min(max(start, high - length), low)
