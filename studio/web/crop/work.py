"""What the tab Crop does with a run: begins it, corrects it, packs it. The queue does the work."""

import secrets
import threading
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from cropping.corrections import Correction
from cropping.job import INDEX
from lab.errors import UserError
from lab.images import find_images
from lab.run import MANIFEST, write_atomically
from studio import cli
from studio.web.bench import Bench
from studio.web.crop import edits
from studio.web.crop.form import Form, experiment_of
from studio.web.crop.read import Crops, read_crops
from studio.web.experiments import checked
from studio.web.places import STUDIO, short
from studio.web.runs.listing import read_json
from studio.web.sheet import sheet
from studio.web.tickets import OPEN

JOB = "cropping"
JOBS = {JOB: cli.JOBS[JOB]}
_asking = threading.Lock()


def begin(bench: Bench, form: Form) -> str:
    """Queue the run that the form describes, and return its name.

    Raises:
        UserError: no pictures, a setting that cannot be, a name that other pictures have.
    """
    named = form.source.strip() or form.dropped
    if not named:
        raise UserError("drop some pictures first, or name the folder that they are in")
    source = bench.places.inside(named)
    pictures = _names_in(source)
    name = bench.places.name(form.name.strip() or free_name(bench, source.name))
    folder = bench.folder(name, JOB)
    before = _settings(folder)
    if before and Path(before["source"]).resolve() != source:
        raise UserError(
            f"{name} was made of other pictures, those of {before['source']}; choose another name"
        )
    form = replace(form, source=str(short(source)), dropped="", name=name)
    experiment = experiment_of(form, short(edits.file_of(folder)))
    section = {key: value for key, value in experiment[JOB].items() if key != "corrections"}
    bench.places.check({"name": name, JOB: section})
    checked(bench.outputs / STUDIO / "crop.yaml", {"name": name, JOB: section}, cli.models(JOBS))
    configured = before.get("corrections", "") if before else ""
    edits.prepare(folder, source, configured, pictures)
    bench.queue.submit(experiment, f"crop {len(pictures)} pictures")
    return name


def chosen(bench: Bench, named: str) -> str:
    """The pictures of a folder as HTML: how many, and some of them; nothing for no folder.

    Raises:
        UserError: it holds no pictures, or some that may not be read, through links too.
    """
    if not named.strip():
        return ""
    found = find_images(bench.places.inside(named))
    pictures = [(bench.places.inside(str(path)), "") for path in found]
    return sheet(f"{len(found):,} picture{'' if len(found) == 1 else 's'}", pictures)


def _names_in(source: Path) -> set[str]:
    return {path.relative_to(source).as_posix() for path in find_images(source)}


def _settings(folder: Path) -> dict[str, Any]:
    """The section `cropping` that a run was last made with; empty for none."""
    section = (read_json(folder / MANIFEST).get("configuration") or {}).get(JOB)
    return section if isinstance(section, dict) else {}


def name_for(bench: Bench, source: Path, name: str, proposed: str) -> str:
    """The name of the run that crops these pictures: the one that stands in the form, unless it was
    merely `proposed` for others, or others have it."""
    with suppress(UserError):
        if before := _settings(bench.folder(name, JOB)):
            if Path(before["source"]).resolve() == source.resolve():
                return name
            proposed = name
    return name if name and name != proposed else free_name(bench, source.name)


def free_name(bench: Bench, wish: str) -> str:
    """A name for a run that there is not yet, as near to the wish as can be."""
    plain = "".join(c if c.isalnum() or c in "-_ " else "-" for c in wish)[:60].strip(" -")
    plain = "crops" if not plain or wish.startswith("dropped-") else plain
    name, number = plain, 1
    while (bench.outputs / name).exists() or bench.queue.of(name) is not None:
        number += 1
        name = f"{plain}-{number}"
    return name


def crops_of(bench: Bench, name: str, before: Crops | None = None) -> Crops | None:
    """A run as it lies in its folder; None before it began. See `read_crops`.

    Raises:
        UserError: its pictures, or its corrections, are where the studio may not read.
    """
    folder = bench.folder(name, JOB)
    if source := _settings(folder).get("source"):
        bench.places.inside(source)
    if (file := edits.file_of(folder)).is_symlink():
        bench.places.inside(str(file))
    return read_crops(folder, before)


def edit(bench: Bench, name: str, crops: Crops, asked: Any) -> Correction:
    """Write what was dragged, chosen or typed into the run's corrections, and have it cut.

    `asked` is what the browser sent: {run, name, ...}, see `edits.edited`.

    Raises:
        UserError: it is not about this run, or cannot be done.
    """
    if not isinstance(asked, Mapping) or asked.get("run") != name:
        raise UserError("the page shows another run by now; open this one again")
    card = crops.card(str(asked.get("name", "")))
    folder = bench.folder(name, JOB)
    bench.places.writable(folder.parent)
    configured = str(crops.configuration.get("corrections", ""))
    file = edits.prepare(folder, crops.source, configured, _names_in(crops.source))
    entry = edits.change(file, card.name, asked, card.size, card.out)
    recut(bench, name)
    return entry


def recut(bench: Bench, name: str) -> None:
    """Have a run made again, before whatever waits, unless that will happen anyway. Only pictures
    whose correction is another are cut."""
    folder = bench.folder(name, JOB)
    settings = _settings(folder)
    with _asking:
        latest = bench.queue.of(name, JOB)
        if not settings or (latest is not None and latest.status in OPEN):
            return
        section = settings | {"corrections": str(short(edits.file_of(folder)))}
        bench.queue.submit({"name": name, JOB: section}, "cut what was corrected", front=True)


def pack(bench: Bench, name: str) -> Path:
    """The finished data set as a zip: pictures, captions, masks and metadata.jsonl in one folder.

    Raises:
        UserError: it is not finished.
    """
    folder = bench.folder(name, JOB)
    crops = require_finished(bench, name)
    to = bench.outputs / STUDIO / "data-sets" / f"{name}.zip"
    bench.places.writable(to.parent)
    files = sorted(path for path in (folder / "images").iterdir() if path.is_file())
    files = [path for path in files if not path.name.startswith(".")]

    def write(path: Path) -> None:
        # Stored: PNG files do not become smaller. One date: the same data set is the same file.
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for file in files:
                entry = zipfile.ZipInfo(f"{crops.name}/{file.name}", (1980, 1, 1, 0, 0, 0))
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.read_bytes())

    write_atomically(to, write)
    return to


def require_finished(bench: Bench, name: str) -> Crops:
    """The run, if all of it is cut.

    Raises:
        UserError: it is not.
    """
    if not name:
        raise UserError("find the crops first")
    folder = bench.folder(name, JOB)
    crops = crops_of(bench, name)
    latest = bench.queue.of(name, JOB)
    at_work = latest is not None and latest.status in OPEN
    if crops is None or at_work or crops.waiting or crops.status != "complete":
        raise UserError("the pictures are still being cut; wait until that is done")
    if not (folder / INDEX).is_file():
        raise UserError(f"{name} has no crops; press Find the crops")
    return crops


def drop_folder(bench: Bench, session: str) -> Path:
    """A new folder for what a window's user drops."""
    folder = bench.places.uploads(session) / f"dropped-{secrets.token_hex(4)}"
    folder.mkdir(parents=True)
    return folder
