"""What the crops' records say, gathered: the lines of crops.jsonl and the remarks at the end."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from cropping.config import Config
from cropping.cutting import Record, versions
from cropping.duplicates import ALIKE, BLANK, find_duplicates


def without_what_is_dropped(made: Sequence[Record], config: Config) -> list[Record]:
    """The records of the pictures that could be read, each with "duplicate_of" (the name of the
    picture that it is like, or null), without duplicates and blank crops if that is wanted."""
    read = [record for record in made if "crops" in record]
    hashes = [record["hash"] for record in read]
    alike = find_duplicates(hashes, max(config.drop_duplicates or 0, ALIKE))
    dropped = (
        find_duplicates(hashes, config.drop_duplicates)
        if config.drop_duplicates is not None
        else {}
    )
    kept = []
    for index, record in enumerate(read):
        record["duplicate_of"] = read[alike[index]]["name"] if index in alike else None
        if index in dropped:
            record["dropped"] = f"like {read[dropped[index]]['name']}"
            continue
        crops = [crop for crop in record["crops"] if not _is_dropped(crop, config)]
        if not crops:
            record["dropped"] = "blank"
            continue
        kept.append(record | {"crops": crops})
    return kept


def _is_dropped(crop: dict, config: Config) -> bool:
    return config.drop_blank is not None and crop["detail"] < config.drop_blank


def lines_of(record: Record) -> Iterator[dict[str, Any]]:
    """The lines of crops.jsonl for one picture. `scale` is in crop pixels per source pixel: above 1
    the picture was enlarged. `learned` is the share of the crop that its mask lets through."""
    for crop in record["crops"]:
        yield {
            "file": crop["file"],
            "caption": crop["caption"],
            "caption_from": crop["caption_from"],
            "source": record["source"],
            "source_sha256": record["source_sha256"],
            "source_size": record["source_size"],
            "box": crop["box"],
            "size": crop["size"],
            "scale": crop["scale"],
            "kind": crop["kind"],
            "strategy": record["strategy"],
            "reason": crop["reason"],
            "lost_mass": crop["lost_mass"],
            "mask": crop["mask"],
            "learned": crop["learned"],
            "duplicate_of": record["duplicate_of"],
            "versions": versions(),
        }


def metadata_of(line: dict[str, Any]) -> dict[str, Any]:
    """A line of images/metadata.jsonl, as Hugging Face's imagefolder reads it; its file names are
    relative to that folder."""
    found = {"file_name": PurePosixPath(line["file"]).name, "text": line["caption"]}
    return found | ({"mask": PurePosixPath(line["mask"]).name} if line["mask"] else {})


def notes_of(made: Sequence[Record], lines: Sequence[dict], config: Config) -> Iterator[str]:
    """What a user should know at the end, one sentence each."""
    for record in made:
        if "problem" in record:
            yield f"left out: {record['problem']}"
        elif "dropped" in record:
            yield f"left out: {record['source']} ({record['dropped']})"
    read = [record for record in made if "crops" in record]
    for record in read:
        for warning in record["warnings"]:
            if not warning.startswith("enlarged"):
                yield f"{record['source']}: {warning}"
    if enlarged := [line["scale"] for line in lines if line["scale"] > 1]:
        yield (
            f"{len(enlarged)} of {len(lines)} crops show fewer than {config.size} px and "
            f"were enlarged, up to {max(enlarged):.2f} times; cropping.size sets another size"
        )
    if padded := sum(line["kind"] == "pad" for line in lines):
        yield (
            f"{padded} of {len(lines)} crops are padded, as otherwise they would lose too much "
            "of what matters, or cut through it; cropping.pad=never cuts"
        )
    if nameless := sum(not line["caption"] for line in lines):
        yield (
            f"{nameless} of {len(lines)} crops have no caption; put it in the file name or in a "
            ".txt beside the picture"
        )
    yield from _notes_of_flaws(read, config)
    for record in read:
        if record["duplicate_of"] and "dropped" not in record:
            yield f"{record['source']} looks like {record['duplicate_of']}"
    if blank := sum(crop["detail"] < BLANK for record in read for crop in record["crops"]):
        done = "" if config.drop_blank else "; cropping.drop_blank=3 leaves such crops out"
        yield f"{blank} crops have next to nothing in them{done}"


def _notes_of_flaws(read: Sequence[Record], config: Config) -> Iterator[str]:
    kinds = Counter(flaw["kind"] for record in read for flaw in record["flaws"])
    if not kinds:
        return
    counted = ", ".join(f"{count} with {kind}" for kind, count in sorted(kinds.items()))
    done = (
        "repaired" if config.scans.repair
        else "kept as they are" if config.scans.masks == "none"
        else "masked, but for shading"
    )  # fmt: skip
    damaged = sum(bool(record["flaws"]) for record in read)
    pictures = "1 picture" if damaged == 1 else f"{damaged} pictures"
    yield f"damage found in {pictures} ({counted}): {done}"
