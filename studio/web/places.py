"""Which files the studio may touch: it reads inside its folders and writes inside outputs/.

Whatever a form or the API brings as a path is resolved, symbolic links and all, before it is
compared with the folders.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.errors import UserError

STUDIO = ".studio"
"""The studio's own folder in outputs/: its queue, its experiments, what was uploaded."""
LONGEST = 4096
LISTS = ("crops.jsonl", "metadata.jsonl")
BUNDLED = frozenset({"", "storybook", "auto", "none", "drawn"})
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_NAME = re.compile(r"[^\x00-\x1f/\\:*?\"<>|]{1,100}")

PATHS = frozenset(
    {
        "cfg.analysis.features",
        "cfg.analysis.match",
        "cfg.model",
        "cfg.tokenizer",
        "cfg.vae",
        "cfg.words",
        "cropping.captions.automatic",
        "cropping.corrections",
        "cropping.detector",
        "cropping.source",
        "ddpm.data.source",
        "ddpm.film.guide.losses.clip",
        "ddpm.guide.losses.clip",
        "ddpm.measure.beside",
        "ddpm.measure.extractor",
        "ddpm.model.pretrained",
        "ddpm.study.extractor",
        "inversion.also.initial_embedding",
        "inversion.data",
        "inversion.evaluate.pictures",
        "inversion.initial_embedding",
        "inversion.model",
        "inversion.templates",
        "inversion.tokenizer",
        "inversion.vae",
        "sample.model",
        "sample.tokenizer",
        "sample.vae",
        "sample.words",
        "skew.embedding",
        "skew.judge",
        "skew.match",
        "skew.model",
        "skew.tokenizer",
        "skew.vae",
        "tune.storage",
    }
)
"""The settings, of all jobs, that name a file or folder. A test holds the list to the models."""


class Places:
    """The folders that a studio may read, and the one that it may write to."""

    def __init__(self, roots: Sequence[Path], outputs: Path):
        """`roots` may be read, as may `outputs`; they need not exist."""
        self.outputs = Path(outputs).resolve()
        self.roots = tuple(dict.fromkeys([*(Path(root).resolve() for root in roots), self.outputs]))

    def inside(self, text: str) -> Path:
        """The file or folder that `text` names, resolved.

        Raises:
            UserError: where it does not exist, or is outside of the folders, through symbolic
                links too.
        """
        path = self._resolved(text)
        if not any(path.is_relative_to(root) for root in self.roots):
            folders = ", ".join(str(short(root)) for root in self.roots)
            raise UserError(
                f"{text} is outside of the folders this studio may read: {folders}; to add one, "
                "start it with --pictures FOLDER"
            )
        if not path.exists():
            raise UserError(f"{text} does not exist")
        return path

    def model(self, text: str) -> str:
        """`text` if it names a bundled model, one of the hub, or a path that may be read.

        Raises:
            UserError: otherwise.
        """
        hub = _HUB_ID.fullmatch(text) and ".." not in text
        if text in BUNDLED or (hub and not _exists(text)):
            return text
        return str(self.inside(text))

    def name(self, text: str) -> str:
        """A run's name, which is one folder of outputs/.

        Raises:
            UserError: where it is not.
        """
        if not isinstance(text, str) or not text.strip():
            raise UserError("give it a name: letters, digits, - and _")
        fit = _NAME.fullmatch(text) and text.strip(". ") == text and text.isprintable()
        if not fit or len(text.encode()) > 200:
            shown = text if len(text) < 60 else text[:60] + " ..."
            raise UserError(f"{shown!r} is no name for a folder; use letters, digits, - and _")
        return text

    def uploads(self, session: str) -> Path:
        """A folder in outputs/ for what this window's user has dropped; made if not there."""
        plain = re.sub(r"[^A-Za-z0-9]", "", session or "")[:40] or "nobody"
        folder = self.outputs / STUDIO / "uploads" / plain
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def check(self, experiment: Mapping[str, Any]) -> None:
        """Make sure that an experiment names only what may be read, and writes only to outputs/.

        Raises:
            UserError: naming the setting.
        """
        for keys, text in _texts(experiment):
            try:
                self._check(_setting(keys), text)
            except UserError as problem:
                raise UserError(f"{'.'.join(keys)}: {problem}") from None
        self.writable(self.outputs / self.name(experiment.get("name", "")))

    def writable(self, folder: Path) -> None:
        """Make sure that neither `folder` nor anything in it is a link that leads out of outputs/.

        Raises:
            UserError: naming the link.
        """
        for found in (folder, *links_in(folder)):
            if not found.resolve().is_relative_to(self.outputs):
                raise UserError(f"{short(found)} leads out of {short(self.outputs)}; remove it")

    def _check(self, setting: str, text: str) -> None:
        if setting == "tune.storage" and text:
            raise UserError("the studio keeps trials in the run folder; leave it empty")
        if setting not in PATHS:
            looks = text.startswith(("~", "/", "\\")) or ".." in re.split(r"[/\\]", text)
            if looks and _exists(text):
                self.inside(text)
            return
        if re.fullmatch(r"drawn:\w+", text):
            return
        named = self.model(text.removeprefix("clip:"))
        if Path(named).is_dir() and Path(named).is_absolute():
            for path in (*links_in(Path(named)), *listed_in(Path(named))):
                self.inside(str(path))

    def _resolved(self, text: str) -> Path:
        if not isinstance(text, str) or not text.strip():
            raise UserError("name a file or a folder")
        if len(text) > LONGEST or "\x00" in text or not text.isprintable():
            raise UserError("that is no name of a file or folder")
        try:
            return Path(text).expanduser().resolve()
        except (OSError, RuntimeError, ValueError):
            raise UserError(f"{text[:200]} cannot be read") from None


def links_in(folder: Path) -> Iterator[Path]:
    """The symbolic links in a folder and in the folders below it."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_symlink():
                yield path


def listed_in(folder: Path) -> Iterator[Path]:
    """The files that a folder's lists of pictures name, wherever they are; jobs read them."""
    for name in LISTS:
        try:
            lines = (folder / name).read_text(encoding="utf-8-sig", errors="replace").splitlines()
        except OSError:
            continue
        for text in lines:
            try:
                line = json.loads(text)
            except (ValueError, RecursionError):
                continue  # the job says what is wrong with it
            for key in ("file", "file_name", "mask"):
                named = line.get(key) if isinstance(line, dict) else None
                if isinstance(named, str) and named:
                    yield folder / named


def _setting(keys: Sequence[str]) -> str:
    """The setting that a text is for, as PATHS has it; a search's ranges are for others."""
    if list(keys[:2]) == ["tune", "ranges"]:
        return keys[2] if len(keys) > 2 else ""
    return ".".join(keys)


def _texts(value: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text in nested values, with the keys that lead to it; a list has its owner's key."""
    if isinstance(value, str):
        yield keys, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*keys, str(key)))
    elif isinstance(value, list | tuple) and keys != ("inversion", "templates"):  # prompts
        for item in value:
            yield from _texts(item, keys)


def _exists(text: str) -> bool:
    try:
        return Path(text).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return True  # what cannot be looked at is not let through


def short(path: Path) -> Path:
    """The path as one would type it here."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
