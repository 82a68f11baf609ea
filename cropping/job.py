"""The job: a folder of pictures -> crops with captions and masks, crops.jsonl and a report.

`cropping/cutting.py` makes what comes of one picture; here the pictures are shared out, and what
depends on all of them is decided and written: which are duplicates, the index, the report.
"""

import json
import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from cropping import records
from cropping.captions import Captioner, caption_crops, load_captioner
from cropping.config import Config
from cropping.cutting import RECORDS, VERSION, Record, Task, cut_source, kept_record, load_settings
from cropping.detectors import identity
from cropping.report import write_report
from cropping.sources import Source, find_sources
from lab.errors import UserError
from lab.forecast import duration, seconds_of
from lab.images import ImageError, read_image
from lab.run import Progress, Run, process_count, process_index, result_of, write_text
from lab.workers import spread, worker_count

INDEX = "crops.jsonl"
# The index first: while it is there, what it names is there and whole.
RESULTS = (INDEX, "images/metadata.jsonl", "report.html", "contact-sheet*")


def run(config: Config, run: Run) -> Iterator[Progress]:
    """Crop every picture of `config.source` into the run's folder.

    Under `accelerate launch` every process cuts its share, and the first one writes what is about
    all of them. A second run cuts only the pictures whose file, caption, correction or settings are
    not the same any more.

    Raises:
        UserError: before anything is written, when there is nothing to crop, when corrections or
            models are not in order, and, with `config.strict`, when any picture cannot be read.
    """
    sources = yield from find_sources(config, run)
    detector = identity(config.detector)
    tasks = [Task(source, config, run.folder, detector) for source in sources]
    dropping = [config.drop_duplicates, config.drop_blank]
    key = run.fingerprint({"version": VERSION, "tasks": [t.key for t in tasks], "drop": dropping})
    captioner = None
    if run.read_manifest().get("key") != key:  # else these very files have been read before
        yield from _check_readable(sources, config)
        load_settings(config, detector)
        captioner = load_captioner(config.captions.automatic)
    _wait()
    if run.is_main:
        _forget_index_without_crops(run.folder)
    _wait()
    if run.is_complete(key, discard=RESULTS):
        return
    _wait()  # until the first process has put away what is out of date
    run.manifest["dataset_hash"] = run.fingerprint(
        [[s.name, s.sha256, s.caption.text] for s in sources]
    )
    made = yield from _cut(tasks[process_index() :: process_count()], config, captioner)
    _wait()
    if run.is_main:
        if process_count() > 1:  # what the others made is read back
            made = yield from _cut(tasks, config, None)
        yield from _finish(run, config, made)
    _wait()


def forecast(config: Config, run: Run) -> list[str]:
    """How many pictures `run` would cut and how long that takes here; nothing is left written.

    Raises:
        UserError: as `run`.
    """
    sources = result_of(find_sources(config, run))
    detector = identity(config.detector)
    tasks = [Task(source, config, run.folder, detector) for source in sources]
    left = [task for task in tasks if kept_record(task) is None]
    said = f"{len(left):,} of {len(tasks):,} pictures to crop"
    if not left:
        return [said]
    load_settings(config, detector)
    with tempfile.TemporaryDirectory() as folder:
        one = replace(left[len(left) // 2], folder=Path(folder))
        seconds = seconds_of(lambda: cut_source(one), 1)
    workers = worker_count(_workers_wanted(config), len(left), process_count())
    about = duration(seconds * len(left) / workers / process_count())
    captions = "; automatic captions not counted" if config.captions.automatic else ""
    return [f"{said}, about {about}{captions}"]


def _wait() -> None:
    """Go on when every process has come to this point. One alone does without torch."""
    if process_count() > 1:
        from lab.processes import Processes

        Processes("cpu").wait()


def _check_readable(sources: Sequence[Source], config: Config) -> Iterator[Progress]:
    """Make sure, before anything is written, that there is something to crop; if the job is strict,
    that everything can be read."""
    errors = []
    for done, source in enumerate(sources, start=1):
        try:
            read_image(source.path)
        except ImageError as error:
            errors.append((source.path, str(error)))
        else:
            if not config.strict:
                return
        yield Progress("checking pictures", done, len(sources))
    if errors and (config.strict or len(errors) == len(sources)):
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


def _cut(
    tasks: Sequence[Task], config: Config, captioner: Captioner | None
) -> Generator[Progress, None, list[Record]]:
    """The records of all tasks, in their order, whichever process makes them."""
    made: list[Record] = [kept_record(task) or {} for task in tasks]
    left = [index for index, record in enumerate(made) if not record]
    workers = worker_count(_workers_wanted(config), len(left), process_count())
    work = spread(cut_source, [tasks[index] for index in left], workers)
    for done, (which, record) in enumerate(work, start=len(tasks) - len(left) + 1):
        made[left[which]] = record
        yield Progress("cropping", done, len(tasks), tasks[left[which]].source.path.name)
    if config.captions.automatic:
        yield from caption_crops(tasks, made, captioner)
    return made


def _workers_wanted(config: Config) -> int | Literal["auto"]:
    """One where a detector is a large model: every worker would have its own."""
    large = config.detector and not config.detector.endswith(".onnx")
    return 1 if config.workers == "auto" and large else config.workers


def _finish(run: Run, config: Config, made: list[Record]) -> Iterator[Progress]:
    """Write what is about all pictures; the index, which says that the rest is there, last."""
    kept = records.without_what_is_dropped(made, config)
    lines = [line for record in kept for line in records.lines_of(record)]
    if not lines:
        raise UserError(
            f"{config.source}: no crop is left; "
            "look at cropping.drop_blank, cropping.drop_duplicates and the corrections"
        )
    _tidy(run.folder, made, lines)
    yield Progress("report", 0, 1)
    write_report(run, config, kept, made)
    yield Progress("report", 1, 1)
    metadata = [json.dumps(records.metadata_of(line), ensure_ascii=False) + "\n" for line in lines]
    write_text(run.folder / "images" / "metadata.jsonl", "".join(metadata))
    index = [json.dumps(line, ensure_ascii=False) + "\n" for line in lines]
    write_text(run.folder / INDEX, "".join(index))
    run.show(INDEX, f"{len(lines)} crops with caption, source, rectangle and mask")
    for note in records.notes_of(made, lines, config):
        run.note(note)


def _tidy(folder: Path, made: Sequence[Record], lines: Sequence[dict]) -> None:
    """Remove what earlier runs made of pictures and settings that are no more."""
    wanted = {f"{RECORDS}/{record['stem']}{end}" for record in made if "crops" in record
              for end in (".json", ".jpg")}  # fmt: skip
    for line in lines:
        text = Path(line["file"]).with_suffix(".txt").as_posix()
        wanted |= {line["file"], text, line["mask"]}
    for part in ("images", RECORDS):
        for path in (folder / part).glob("*"):
            if path.is_file() and path.relative_to(folder).as_posix() not in wanted:
                path.unlink()
