"""What nobody needs any more in outputs/.studio, removed when a studio starts."""

import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from lab.errors import UserError
from lab.run import MANIFEST
from studio.web.places import STUDIO, Places

COPIES = ("files", "data-sets", "words")
"""Made for downloads of pages that are closed by now, and again at a press."""
_DAY = 86_400.0
_THUMBNAILS_KEPT = 30 * _DAY


def remove_leftovers(places: Places, waiting: Collection[str]) -> None:
    """Remove copies, old thumbnails, and pictures that were dropped a day ago or earlier and that
    no run has. Nothing outside of outputs/ is touched.

    Args:
        waiting: names of runs that are queued, and may have no folder yet.
    """
    studio = places.outputs / STUDIO
    try:
        places.writable(studio)
    except UserError:
        return  # a link in it leads elsewhere; whoever writes there is told
    for name in COPIES:
        shutil.rmtree(studio / name, ignore_errors=True)
    for trial in studio.glob(".check-*.yaml"):
        trial.unlink(missing_ok=True)
    for thumbnail in studio.glob("thumbnails/*.jpg"):
        if _age(thumbnail) > _THUMBNAILS_KEPT:
            thumbnail.unlink(missing_ok=True)
    _remove_dropped(places.outputs, waiting)


def _remove_dropped(outputs: Path, waiting: Collection[str]) -> None:
    uploads = outputs / STUDIO / "uploads"
    old = [folder for folder in uploads.glob("*/dropped-*") if _age(folder) > _DAY]
    if not old:
        return
    named = _named(outputs, waiting)
    for folder in old:
        if folder.name not in named:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                folder.parent.rmdir()  # the window's, if this was the last


def _named(outputs: Path, waiting: Collection[str]) -> str:
    """The manifests of all runs, and the experiments of those that are there or wait. What they
    name is looked for as text: a path depends on where the studio was started."""
    files = list(outputs.glob(f"*/*/{MANIFEST}"))
    for file in (outputs / STUDIO).glob("*.yaml"):
        if file.stem in waiting or (outputs / file.stem).is_dir():
            files.append(file)
    return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
