"""The job: a folder of pictures -> square crops with captions, crops.jsonl and a contact sheet."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cropping.config import Config
from cropping.plan import plan
from cropping.sheet import card, sheets
from cropping.window import Window
from lab.captions import Caption, crop_name, read_caption
from lab.errors import UserError
from lab.images import ImageError, find_images, read_image, save_png
from lab.run import Progress, Run, file_hash, write_atomically, write_text

VERSION = 1  # part of the key: raise it when the same input gives other crops
INDEX = "crops.jsonl"
RESULTS = ("images", INDEX, "contact-sheet*")


@dataclass(frozen=True)
class Source:
    """A picture to crop: its file, the sha256 of that file, and its caption."""

    path: Path
    sha256: str
    caption: Caption


def run(config: Config, run: Run) -> Iterator[Progress]:
    """Crop every picture of `config.source` into the run's folder.

    The crops are numbered in the natural order of their sources, so that equal captions do not
    collide. crops.jsonl is written after the images it names: while it is there, they are whole.

    Raises:
        UserError: before anything is written, when there is nothing to crop, or, unless
            `config.strict` is false, when any of the pictures cannot be read.
    """
    if not run.is_main:  # every process of `accelerate launch` would write the same files
        return
    sources = yield from _find_sources(config, run)
    key = run.fingerprint({"version": VERSION, "config": config, "sources": _inputs(sources)})
    if run.read_manifest().get("key") != key:  # else these very files have been read before
        yield from _check_readable(sources, config.strict)
    _forget_index_without_crops(run.folder)
    if run.is_complete(key, discard=RESULTS):
        return
    run.manifest["dataset_hash"] = run.fingerprint(_inputs(sources))
    records: list[dict] = []
    cards: list[Image.Image] = []
    for done, source in enumerate(sources, start=1):
        try:
            picture = read_image(source.path)
        except ImageError as error:
            if config.strict:
                raise
            run.note(f"left out: {error}")
        else:
            window = plan(picture, config.size, strategy=config.strategy, pad="never").windows[0]
            crop = cut(picture, window, config.size)
            name = f"images/{crop_name(len(records) + 1, source.caption.text)}"
            save_png(crop, run.folder / f"{name}.png")
            write_text(run.folder / f"{name}.txt", source.caption.text + "\n")
            record = describe(source, picture.size, window, config) | {"file": f"{name}.png"}
            records.append({"file": record.pop("file"), **record})
            cards.append(card(picture, window.box, crop, source.caption.text, _detail(record)))
        yield Progress("cropping", done, len(sources), source.path.name)
    _finish(run, config, records, cards)


def cut(picture: Image.Image, window: Window, size: int) -> Image.Image:
    """The window drawn at size x size, by one Lanczos resampling of exactly the window's pixels."""
    return picture.resize((size, size), Image.Resampling.LANCZOS, box=window.box.corners)


def describe(source: Source, size: tuple[int, int], window: Window, config: Config) -> dict:
    """A crop's line in crops.jsonl, but for its file. `scale` is in crop pixels per source pixel:
    above 1 the picture was enlarged."""
    return {
        "caption": source.caption.text,
        "caption_from": source.caption.origin,
        "source": source.path.as_posix(),
        "source_sha256": source.sha256,
        "source_size": list(size),
        "box": list(window.box.corners),
        "scale": round(config.size / window.box.width, 4),
        "strategy": config.strategy,
        "reason": window.reason,
        "lost_mass": window.lost_mass,
    }


def _find_sources(config: Config, run: Run) -> Iterator[Progress]:
    """Every picture of the source folder with its hash and caption, in natural order."""
    folder = Path(config.source)
    paths = find_images(folder)
    if run.folder.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"cropping.source: the results go into {folder} too, and would be cropped in their "
            "turn; name the folder of the pictures themselves"
        )
    captions = config.captions.model_dump()
    sources = []
    for done, path in enumerate(paths, start=1):
        sources.append(Source(path, _hash(path), read_caption(path, **captions)))
        yield Progress("finding pictures", done, len(paths))
    return sources


def _hash(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError:  # reading it as a picture says what is wrong with it
        return ""


def _inputs(sources: list[Source]) -> list[list[str]]:
    return [[source.path.as_posix(), source.sha256, source.caption.text] for source in sources]


def _check_readable(sources: list[Source], strict: bool) -> Iterator[Progress]:
    """Read every picture once, so that a bad one is known before anything is written."""
    errors = []
    for done, source in enumerate(sources, start=1):
        try:
            read_image(source.path)
        except ImageError as error:
            errors.append((source.path, str(error)))
        yield Progress("checking pictures", done, len(sources))
    if errors and (strict or len(errors) == len(sources)):
        raise UserError(_unreadable(errors, can_leave_out=len(errors) < len(sources)))


def _unreadable(errors: list[tuple[Path, str]], can_leave_out: bool) -> str:
    sentence = errors[0][1]
    if len(errors) > 1:
        others = ", ".join(str(path) for path, _ in errors[1:6])
        more = f" and {len(errors) - 6} more" if len(errors) > 6 else ""
        sentence += f"; the same goes for {others}{more}"
    return sentence + ("; or leave out what cannot be read: cropping.strict=false" * can_leave_out)


def _forget_index_without_crops(folder: Path) -> None:
    """Remove crops.jsonl when a crop that it names was removed, so that the crops are made anew."""
    index = folder / INDEX
    if index.exists():
        lines = index.read_text(encoding="utf-8").splitlines()
        if not all((folder / json.loads(line)["file"]).exists() for line in lines):
            index.unlink()


def _detail(record: dict) -> str:
    width, height = record["source_size"]
    enlarged = f", enlarged {record['scale']:.2f} times" if record["scale"] > 1 else ""
    return f"{width} x {height} px{enlarged}, {record['lost_mass']:.0%} of what matters cut off"


def _finish(run: Run, config: Config, records: list[dict], cards: list[Image.Image]) -> None:
    pages = sheets(cards)
    for number, page in enumerate(pages, start=1):
        name = "contact-sheet.jpg" if number == 1 else f"contact-sheet-{number}.jpg"
        write_atomically(run.folder / name, lambda path, page=page: page.save(path, quality=88))
    others = f" (the first of {len(pages)} sheets)" if len(pages) > 1 else ""
    run.show("contact-sheet.jpg", f"each source with its square, and the crop{others}")
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    write_text(run.folder / INDEX, "".join(lines))
    run.show(INDEX, f"{len(records)} crops with caption, source and rectangle")
    if enlarged := [record["scale"] for record in records if record["scale"] > 1]:
        run.note(
            f"{len(enlarged)} of {len(records)} pictures are smaller than {config.size} px and "
            f"were enlarged, up to {max(enlarged):.2f} times; cropping.size sets another size"
        )
    if nameless := sum(not record["caption"] for record in records):
        run.note(
            f"{nameless} of {len(records)} crops have no caption; put it in the file name or in a "
            ".txt beside the picture"
        )
