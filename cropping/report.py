"""What to look at after cropping: report.html with every picture, and the contact sheet."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image

from cropping.config import Config
from cropping.corrections import NAME
from cropping.cutting import RECORDS, Record
from cropping.duplicates import BLANK
from cropping.sheet import card, sheets
from cropping.window import Box
from lab.page import write_page
from lab.run import Run, write_atomically

TEMPLATE = Path(__file__).with_name("report.html")
LOSSY = 0.05  # share of what matters from which on a loss is worth a look
LABELS = {
    "all": "all", "lossy": "cut something", "pad": "padded", "tiles": "tiles", "damage": "damage",
    "warned": "warnings", "corrected": "by hand", "twice": "duplicates", "out": "left out",
}  # fmt: skip


def write_report(run: Run, config: Config, kept: Sequence[Record], made: Sequence[Record]) -> None:
    """Write report.html and the contact sheet, from the records and thumbnails of all pictures."""
    read = [record for record in made if "crops" in record]
    cards = sorted((_card(run.folder, record, config) for record in read), key=_worst_first)
    tags = Counter(tag for card in cards for tag in ("all", *card["tags"].split()))
    crops = [crop for record in kept for crop in record["crops"]]
    problems = [
        record.get("problem") or f"{record['source']}: {record['dropped']}"
        for record in made
        if "crops" not in record
    ]
    write_page(
        run.folder / "report.html",
        TEMPLATE,
        name=run.name,
        corrections=config.corrections or f"{config.source.rstrip('/')}/{NAME}",
        most_lost=config.most_lost,
        flaws_are=_flaws_are(config),
        facts=_facts(read, crops, cards, made),
        problems=problems,
        filters=[(key, label, tags[key]) for key, label in LABELS.items() if tags[key]],
        cards=cards,
    )
    run.show("report.html", "every picture with its rectangles, the doubtful ones first")
    _write_sheets(run, kept)


def _worst_first(card: dict[str, Any]) -> tuple[bool, float]:
    return "out" in card["tags"].split(), -card["lost"]


def _flaws_are(config: Config) -> str:
    if config.scans.repair:
        return ", which was repaired"
    return "" if config.scans.masks == "none" else ", which training ignores (shading is only told)"


def _facts(
    read: Sequence[Record], crops: Sequence[dict], cards: Sequence[dict], made: Sequence[Record]
) -> list[tuple[str, str]]:
    lost = [card["lost"] for card in cards if not card["dropped"]]
    return [
        (str(len(read)), "pictures read"),
        (str(len(crops)), "crops"),
        (f"{sum(lost) / max(len(lost), 1):.1%}", "of what matters cut off, on average"),
        (str(sum(crop["kind"] == "pad" for crop in crops)), "crops padded"),
        (str(sum(bool(record["flaws"]) for record in read)), "pictures with damage"),
        (str(sum(crop["mask"] is not None for crop in crops)), "masks"),
        (str(len(made) - len(read) + sum(c["dropped"] for c in cards)), "pictures left out"),
    ]


def _card(folder: Path, record: Record, config: Config) -> dict[str, Any]:
    """What the template shows of one picture; places are px of the source."""
    width, height = record["source_size"]
    boxes = [Box(*crop["box"]) for crop in record["crops"]]
    captions = list(dict.fromkeys(crop["caption"] for crop in record["crops"]))
    dropped = "dropped" in record
    return {
        "name": record["name"],
        "size": (width, height),
        "thumbnail": folder / RECORDS / f"{record['stem']}.jpg",
        "view": _view(width, height, boxes),
        "dim": _dim(width, height, boxes),
        "windows": [(box.x0, box.y0, box.width, box.height) for box in boxes],
        "flaws": [
            (flaw["kind"], " ".join(f"{x},{y}" for x, y in outline))
            for flaw in record["flaws"]
            for outline in flaw["outlines"]
        ],
        "caption": " · ".join(captions),
        "caption_from": " · ".join(dict.fromkeys(c["caption_from"] for c in record["crops"])),
        "what": f"{len(boxes)} tiles" if len(boxes) > 1 else record["reason"],
        "lost": record["lost_mass"],
        "lost_text": f"{record['lost_mass']:.0%} lost",
        "dropped": dropped,
        "warnings": _warnings(record),
        "tags": _tags(record, config),
        "words": f"{record['name']} {' '.join(captions)}".lower(),
    }


def _view(width: int, height: int, boxes: Sequence[Box]) -> str:
    x0, y0 = min(0, *(b.x0 for b in boxes)), min(0, *(b.y0 for b in boxes))
    x1, y1 = max(width, *(b.x1 for b in boxes)), max(height, *(b.y1 for b in boxes))
    margin = 0.015 * max(x1 - x0, y1 - y0)
    corner = f"{x0 - margin:.0f} {y0 - margin:.0f}"
    return f"{corner} {x1 - x0 + 2 * margin:.0f} {y1 - y0 + 2 * margin:.0f}"


def _dim(width: int, height: int, boxes: Sequence[Box]) -> str:
    """An SVG path around what no box shows. Where boxes overlap, even-odd filling would dim what is
    shown twice, so the union's outline is given by its rows."""
    path = f"M0 0H{width}V{height}H0Z"
    edges = sorted({min(max(v, 0), height) for b in boxes for v in (b.y0, b.y1)})
    for top, bottom in pairwise(edges):
        spans: list[list[int]] = []
        for box in sorted(boxes, key=lambda b: b.x0):
            if not (box.y0 <= top and bottom <= box.y1):
                continue
            x0, x1 = max(box.x0, 0), min(box.x1, width)
            if spans and x0 <= spans[-1][1]:
                spans[-1][1] = max(spans[-1][1], x1)
            else:
                spans.append([x0, x1])
        path += "".join(f"M{x0} {top}H{x1}V{bottom}H{x0}Z" for x0, x1 in spans)
    return path


def _warnings(record: Record) -> list[str]:
    found = list(record["warnings"])
    if "dropped" in record:
        found.insert(0, f"left out: {record['dropped']}")
    elif record["duplicate_of"]:
        found.append(f"looks like {record['duplicate_of']}")
    kinds = list(dict.fromkeys(flaw["kind"] for flaw in record["flaws"]))
    if kinds:
        found.append(" and ".join(kinds))
    if any(crop["detail"] < BLANK for crop in record["crops"]):
        found.append("next to nothing in it")
    return found


def _tags(record: Record, config: Config) -> str:
    is_so = {
        "lossy": record["lost_mass"] > LOSSY,
        "pad": record["kind"] == "pad",
        "tiles": len(record["crops"]) > 1,
        "damage": bool(record["flaws"]),
        "warned": bool(_warnings(record)),
        "corrected": record["correction"] is not None,
        "twice": record["duplicate_of"] is not None,
        "out": "dropped" in record,
    }
    return " ".join(tag for tag, holds in is_so.items() if holds)


def _write_sheets(run: Run, kept: Sequence[Record]) -> None:
    cards = [_sheet_card(run.folder, record, crop) for record in kept for crop in record["crops"]]
    pages = sheets(cards)
    for number, page in enumerate(pages, start=1):
        name = "contact-sheet.jpg" if number == 1 else f"contact-sheet-{number}.jpg"
        write_atomically(run.folder / name, lambda path, page=page: page.save(path, quality=88))
    others = f" (the first of {len(pages)} sheets)" if len(pages) > 1 else ""
    run.show("contact-sheet.jpg", f"each source with its rectangle, and the crop{others}")


def _sheet_card(folder: Path, record: Record, crop: dict[str, Any]) -> Image.Image:
    with Image.open(folder / RECORDS / f"{record['stem']}.jpg") as opened:
        source = opened.convert("RGB")
    with Image.open(folder / crop["file"]) as opened:
        shown = opened.convert("RGB")
    width, height = record["source_size"]
    scale = source.width / width
    box = Box(*(round(corner * scale) for corner in crop["box"]))
    enlarged = f", enlarged {crop['scale']:.2f} times" if crop["scale"] > 1 else ""
    detail = f"{width} x {height} px{enlarged}, {crop['lost_mass']:.0%} of what matters cut off"
    return card(source, box, shown, crop["caption"], detail)
