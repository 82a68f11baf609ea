"""Corrections that the page brings, as entries of the corrections' YAML.

Every run has its own file, outputs/NAME/corrections.yaml: what is dropped, dragged and typed in the
studio is written there, and the terminal's next run of the experiment reads the same.
"""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cropping.corrections import (
    NAME,
    Correction,
    around,
    corrections_file,
    read_corrections,
    said,
    widened,
    write_corrections,
)
from cropping.window import Box, largest
from lab.errors import UserError
from lab.tree import parse, read_text

WAYS = ("focal", "centre", "pad", "tiles")
MOST_BOXES = 64
LONGEST_CAPTION = 2000
_writing = threading.Lock()

Size = tuple[int, int]


def file_of(folder: Path) -> Path:
    """Where a run's corrections are, by its folder outputs/NAME/cropping."""
    return folder.parent / NAME


def entries_in(file: Path | None) -> dict[str, Correction]:
    """Every entry of a file, of pictures that are gone too; none where there is no file.

    Raises:
        UserError: for mistakes in a file that was written by hand.
    """
    if file is None or not file.is_file():
        return {}
    named = parse(read_text(file), str(file)).values
    return read_corrections(file, {str(name): file for name in named})


def prepare(folder: Path, source: Path, configured: str, pictures: set[str]) -> Path:
    """The run's file of corrections, made from those that hold for it so far if it is not there,
    and without those of pictures that are gone.

    Args:
        folder: of the run, outputs/NAME/cropping.
        source: the folder of pictures.
        configured: the run's setting `corrections` so far; another file than the run's own is only
            read.
        pictures: the paths of the pictures in the source folder.
    """
    file = file_of(folder)
    with _writing:
        if file.is_file():
            entries = entries_in(file)
        else:
            elsewhere = configured if configured and Path(configured) != file else ""
            entries = entries_in(corrections_file(source, elsewhere))
        kept = {name: entry for name, entry in entries.items() if name in pictures}
        if kept != entries or not file.is_file():
            write_corrections(file, kept)
    return file


def change(file: Path, name: str, edit: Mapping[str, Any], picture: Size, out: Size) -> Correction:
    """Write an edit of the page into the corrections, and return the picture's entry.

    Args:
        name: the picture's, one of the run.
        edit: see `edited`.
        picture: its width and height in px.
        out: width and height of its crops in px.
    """
    with _writing:
        entries = entries_in(file)
        entry = edited(entries.get(name, Correction()), edit, picture, out)
        write_corrections(file, entries | {name: entry})
    return entry


def edited(entry: Correction, edit: Mapping[str, Any], picture: Size, out: Size) -> Correction:
    """An entry after an edit, which is one of

    {"do": "boxes", "boxes": [[x0, y0, x1, y1], ...]} in px of the picture, with or without
    "captions", one for each of them, "" for the picture's,
    {"do": "way", "way": "automatic", one of `WAYS`, "drop", or "keep" for not dropping it},
    {"do": "caption", "caption": TEXT}.

    Raises:
        UserError: for anything else.
    """
    values = said(entry)
    do = edit.get("do")
    if do == "boxes":
        boxes = _boxes(edit.get("boxes"), picture, out)
        own = _captions(edit.get("captions"), len(boxes))
        _forget_places(values)
        values |= _place(boxes, picture, out[0] / out[1])
        if len(boxes) == 1 and own:
            values["caption"] = own[0]
        elif own:
            values["captions"] = own
    elif do == "way" and edit.get("way") in ("automatic", *WAYS):
        _forget_places(values)
        values |= {} if edit["way"] == "automatic" else {"strategy": edit["way"]}
    elif do == "way" and edit.get("way") in ("drop", "keep"):
        values["drop"] = edit["way"] == "drop"
    elif do == "caption" and isinstance(edit.get("caption"), str):
        values["caption"] = _line(edit["caption"])
    else:
        raise UserError("the page asked for something that cannot be done to a picture")
    return Correction.model_validate_json(json.dumps(values))


def _forget_places(values: dict[str, Any]) -> None:
    for key in ("focus", "boxes", "captions", "strategy", "drop"):
        values.pop(key, None)


def _line(text: str) -> str:
    caption = " ".join(text.encode(errors="replace").decode().split())
    if len(caption) > LONGEST_CAPTION or any(ord(letter) < 32 for letter in caption):
        raise UserError(f"a caption is one line of at most {LONGEST_CAPTION} letters")
    return caption


def _captions(captions: Any, count: int) -> list[str]:
    """The rectangles' own captions; none at all where each of them has the picture's."""
    if captions is None:
        return []
    if not isinstance(captions, list) or not all(isinstance(text, str) for text in captions):
        raise UserError("those are no captions; reload the page")
    if len(captions) != count:
        raise UserError(f"{len(captions)} captions do not fit {count} rectangles; reload the page")
    own = [_line(text) for text in captions]
    return own if any(own) else []


def _boxes(boxes: Any, picture: Size, out: Size) -> list[Box]:
    """The rectangles, each as it will be cut.

    Raises:
        UserError: for what is no rectangle of the picture, or reaches farther beyond it than is
            needed to show the whole of it.
    """
    try:
        entry = Correction.model_validate_json(json.dumps({"boxes": boxes}))
    except (ValidationError, TypeError, ValueError):
        raise UserError("that is no rectangle; drag it once more") from None
    aspect = out[0] / out[1]
    whole = (max(picture[0], round(picture[1] * aspect)) + 1,
             max(picture[1], round(picture[0] / aspect)) + 1)  # fmt: skip
    found = [widened(Box(*corners), picture, aspect) for corners in entry.boxes or ()]
    if not found:
        raise UserError("there is no rectangle left; leave the picture out instead")
    if len(found) > MOST_BOXES:
        raise UserError(f"{len(found)} rectangles are too many for one picture; {MOST_BOXES} go")
    for box in found:
        inside = box.inside(picture)
        if inside.width <= 0 or inside.height <= 0:
            raise UserError("a rectangle lies outside the picture; drag it back")
        if box.width > whole[0] or box.height > whole[1]:
            raise UserError("a rectangle is larger than the whole picture; make it smaller")
    return found


def _place(boxes: list[Box], picture: Size, aspect: float) -> dict[str, Any]:
    """One crop that is as large as the picture lets it be is a focus, which holds for crops of any
    size and shape; everything else is rectangles."""
    if len(boxes) == 1:
        box = boxes[0]
        focus = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
        is_largest = (box.width, box.height) == largest(picture, aspect)
        if is_largest and around(focus, picture, aspect) == box:
            return {"focus": focus}
    return {"boxes": [box.corners for box in boxes]}


def cut_by(entry: Correction, picture: Size, out: Size) -> list[list[int]] | None:
    """The rectangles that an entry will be cut to, [x0, y0, x1, y1] in px of the picture; None
    where only the picture itself can tell."""
    aspect = out[0] / out[1]
    if entry.focus is not None:
        return [list(around(entry.focus, picture, aspect).corners)]
    if entry.boxes is not None:
        return [list(widened(Box(*box), picture, aspect).corners) for box in entry.boxes]
    return None
