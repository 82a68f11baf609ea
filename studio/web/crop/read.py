"""A run folder of cropping, as the tab Crop shows it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cropping.corrections import Correction, said
from cropping.duplicates import BLANK
from cropping.job import INDEX
from cropping.plan import MOST_LOST
from cropping.sources import stems
from lab.errors import UserError
from lab.images import find_images, read_image
from lab.run import MANIFEST
from studio.web.crop.edits import cut_by, entries_in, file_of
from studio.web.runs.listing import read_json

ON_A_PAGE = 12
BY_HAND = "by hand"
_LONGEST = 30  # letters of another picture's name
SHOWN = ("all", "warnings", "hand", "out")

Badge = tuple[str, str]
"""Its kind, for its colour, and its few words."""


@dataclass(frozen=True)
class Card:
    """One source picture and what is cut out of it. Places are px of the upright picture."""

    name: str
    """Its path in the source folder."""
    size: tuple[int, int]
    out: tuple[int, int]
    """Width and height of its crops."""
    boxes: tuple[tuple[int, ...], ...]
    way: str
    """automatic, focal, centre, pad, tiles, hand or drop."""
    caption: str
    """Without the prefix of all captions."""
    captions: tuple[str, ...]
    """Of each of `boxes` its own, "" where that is the picture's; empty where none has its own."""
    lost: float
    """Share of what matters that no crop shows, 0..1."""
    waits: bool
    """Whether its correction has not been cut yet."""
    badges: tuple[Badge, ...]
    flaws: tuple[tuple[str, str], ...]
    """(kind, points of an SVG polygon)."""
    crops: tuple[Path, ...]
    thumbnail: Path | None
    hash: str

    @property
    def is_out(self) -> bool:
        return any(kind == "out" for kind, _ in self.badges)

    @property
    def is_warned(self) -> bool:
        return any(kind in ("lost", "warn", "damage") for kind, _ in self.badges)


@dataclass(frozen=True)
class Crops:
    """A run of cropping."""

    name: str
    status: str
    """As its manifest says; "" before it began."""
    source: Path
    configuration: Mapping[str, Any]
    """Of the section `cropping`."""
    cards: tuple[Card, ...]
    """In the order of the source folder."""
    problems: tuple[str, ...]
    """A sentence for each picture that could not be read."""
    index: Mapping[str, str | None]
    """The pictures with crops in the data set, by their paths, and what each is a near-duplicate
    of."""
    left_out: Mapping[str, str]
    """Why others are left out, by their paths."""

    @property
    def waiting(self) -> int:
        """Pictures whose correction has not been cut yet."""
        return sum(card.waits for card in self.cards)

    def card(self, name: str) -> Card:
        """Raises: UserError: when the run has no such picture."""
        for card in self.cards:
            if card.name == name:
                return card
        raise UserError(f"there is no picture {name[:80]!r} in {self.name}")


def read_crops(folder: Path, before: Crops | None = None) -> Crops | None:
    """What lies in outputs/NAME/cropping; None before the run began.

    `before` is what was read last: while a run writes its index anew, what that said still holds.

    Raises:
        UserError: the source folder is gone, or the corrections have mistakes.
    """
    manifest = read_json(folder / MANIFEST)
    configuration = (manifest.get("configuration") or {}).get("cropping")
    if not isinstance(configuration, dict):
        return None
    source = Path(configuration["source"])
    paths = find_images(source)
    entries = entries_in(file_of(folder))
    index = _index(folder)
    left_out, problems = _left_out(manifest.get("notes", []), paths)
    if not index and before is not None and before.source == source:
        index, left_out, problems = before.index, before.left_out, before.problems
    cards = []
    for path, stem in zip(paths, stems(paths), strict=True):
        name = path.relative_to(source).as_posix()
        record = _record(folder / "sources" / f"{stem}.json")
        entry = entries.get(name, Correction())
        if record and record.get("name") == name:
            seen = _Seen(folder, record, entry, configuration, index, left_out)
            cards.append(_card(seen))
        elif entry.drop or left_out.get(path.as_posix()) == BY_HAND:
            cards.append(_without_crops(path, name, entry, configuration))
    return Crops(
        folder.parent.name, str(manifest.get("status", "")), source, configuration, tuple(cards),
        problems, index, left_out,
    )  # fmt: skip


def _left_out(
    notes: Sequence[str], paths: Sequence[Path]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """From a run's remarks: why pictures that it could read were left out, and a sentence for each
    that it could not read."""
    reasons: dict[str, str] = {}
    problems = []
    for note in notes:
        sentence = note.removeprefix("left out: ")
        if sentence == note:
            continue
        match = re.fullmatch(r"(.*) \(([^()]*|like .*)\)", sentence)
        if match and Path(match[1]) in paths:
            reasons[match[1]] = match[2]
        else:
            problems.append(sentence)
    return reasons, tuple(problems)


def stamp_of(path: Path) -> int:
    """When a file was last written, in ns; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _record(path: Path) -> dict[str, Any]:
    stamp = stamp_of(path)
    return _record_at(path, stamp) if stamp else {}


@lru_cache(maxsize=4096)
def _record_at(path: Path, stamp: int) -> dict[str, Any]:
    """A record; three hundred of them are looked at each second while a run is under way."""
    found = read_json(path)
    return {"correction": None} | found if "crops" in found else {}  # older ones do not say it


def _index(folder: Path) -> Mapping[str, str | None]:
    path = folder / INDEX
    stamp = stamp_of(path)
    return _index_at(path, stamp) if stamp else {}


@lru_cache(maxsize=64)
def _index_at(path: Path, stamp: int) -> Mapping[str, str | None]:
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return {}
    return {line["source"]: line["duplicate_of"] for line in lines}


@dataclass(frozen=True)
class _Seen:
    """What a card is made of."""

    folder: Path
    record: Mapping[str, Any]
    entry: Correction
    configuration: Mapping[str, Any]
    index: Mapping[str, str | None]
    left_out: Mapping[str, str]

    @property
    def waits(self) -> bool:
        return said(self.entry) != (self.record["correction"] or {})


def _card(seen: _Seen) -> Card:
    record, entry, folder = seen.record, seen.entry, seen.folder
    crops = record["crops"]
    size, out = tuple(record["source_size"]), tuple(crops[0]["size"])
    cut = cut_by(entry, size, out) if seen.waits else None
    prefix = f"{prefix_of(seen.configuration)} ".lstrip()
    thumbnail = folder / "sources" / f"{record['stem']}.jpg"
    return Card(
        name=record["name"],
        size=size,
        out=out,
        boxes=tuple(tuple(box) for box in cut or [crop["box"] for crop in crops]),
        way=_way(entry),
        caption=_caption(seen).removeprefix(prefix) if entry.caption is None else entry.caption,
        captions=entry.captions,
        lost=record["lost_mass"],
        waits=seen.waits,
        badges=_badges(seen),
        flaws=tuple(
            (flaw["kind"], " ".join(f"{x},{y}" for x, y in outline))
            for flaw in record["flaws"]
            for outline in flaw["outlines"]
        ),
        crops=tuple(folder / crop["file"] for crop in crops),
        thumbnail=thumbnail if thumbnail.is_file() else None,
        hash=record["source_sha256"],
    )


def _caption(seen: _Seen) -> str:
    """The picture's caption, which the crops have that were given none of their own; "" if none."""
    own = (seen.record["correction"] or {}).get("captions", ())
    shared = [c["caption"] for k, c in enumerate(seen.record["crops"]) if not (own and own[k])]
    return shared[0] if shared else ""


def prefix_of(configuration: Mapping[str, Any]) -> str:
    """The words before every caption, on one line."""
    return " ".join(configuration.get("captions", {}).get("prefix", "").split())


def _without_crops(
    path: Path, name: str, entry: Correction, configuration: Mapping[str, Any]
) -> Card:
    """A picture that is left out by hand, or was and is not any more: it has no record."""
    size = _size(path, stamp_of(path))
    side = int(configuration.get("size", 512))
    out = (side, side)
    waits = not entry.drop
    badges: tuple[Badge, ...] = (("wait", "being cut"),) if waits else (("out", "left out"),)
    return Card(
        name, size, out, tuple(tuple(b) for b in cut_by(entry, size, out) or [(0, 0, *size)]),
        _way(entry), entry.caption or "", entry.captions, 0.0, waits, badges, (), (), None,
        f"{stamp_of(path):x}{size[0]:x}",
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _size(path: Path, stamp: int) -> tuple[int, int]:
    try:
        return read_image(path).size
    except UserError:
        return (1, 1)


def _way(entry: Correction) -> str:
    if entry.drop:
        return "drop"
    if entry.focus is not None or entry.boxes is not None:
        return "hand"
    return entry.strategy or "automatic"


def _badges(seen: _Seen) -> tuple[Badge, ...]:
    """What there is to know of a picture in a few words, what matters most first."""
    record, entry = seen.record, seen.entry
    if entry.drop:
        return (("out", "left out"),)
    crops, source, lost = record["crops"], record["source"], record["lost_mass"]
    like = seen.index.get(source)
    found: list[Badge] = [("wait", "being cut")] if seen.waits else []
    if seen.index and source not in seen.index and not seen.waits:
        reason = seen.left_out.get(source, "")
        found.append(("out", f"left out: {_short(reason)}" if reason else "left out"))
    if lost >= 0.01 and not seen.waits:
        much = lost > seen.configuration.get("most_lost", MOST_LOST)
        found.append(("lost" if much else "plain", f"{lost:.0%} cut off"))
    most = max(crop["scale"] for crop in crops)
    if most > 1:
        found.append(("warn", f"too small, enlarged {most:.1f}×"))
    if like:
        found.append(("warn", f"looks like {_short(like)}"))
    for kind in dict.fromkeys(flaw["kind"] for flaw in record["flaws"]):
        found.append(("damage", kind))
    if any(crop["detail"] < BLANK for crop in crops):
        found.append(("warn", "nearly empty"))
    named = any(crop["caption"] for crop in crops) if entry.caption is None else entry.caption
    if not (named or any(entry.captions)):
        found.append(("warn", "no caption"))
    if any(not warning.startswith("enlarged") for warning in record["warnings"]):
        found.append(("warn", "caption unreadable"))
    if record["correction"]:
        found.append(("plain", "by hand"))
    return tuple(found)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rstrip()}…"


# --- which of them, and in what order


def order_of(crops: Crops, show: str) -> list[str]:
    """The names to show, those that lose most of what matters first."""
    chosen = {
        "all": lambda card: True,
        "warnings": lambda card: card.is_warned,
        "hand": lambda card: card.way != "automatic" or ("plain", "by hand") in card.badges,
        "out": lambda card: card.is_out,
    }[show if show in SHOWN else "all"]
    found = [card for card in crops.cards if chosen(card)]
    return [card.name for card in sorted(found, key=lambda card: (card.is_out, -card.lost))]


def page_of(crops: Crops, order: list[str], page: int) -> tuple[list[Card], int, int]:
    """The cards of a page, its number from 0, and how many pages there are.

    `order` is kept from before: a picture that was corrected stays where it is. What it does not
    name is not shown.
    """
    by_name = {card.name: card for card in crops.cards}
    names = [name for name in order if name in by_name]
    pages = max(1, -(-len(names) // ON_A_PAGE))
    page = min(max(page, 0), pages - 1)
    return [by_name[n] for n in names[page * ON_A_PAGE :][:ON_A_PAGE]], page, pages
