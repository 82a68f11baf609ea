"""What a run of the tab Denoise has made so far, read from its folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from studio.web.frames import address

GAP = 6
"""px between x_t and x_0 in a frame, as ddpm.films draws it."""
HEADS = {
    "x_t": ("In the noise",),
    "x_0": ("What the model sees in it",),
    "both": ("In the noise", "What the model sees in it"),
}
EMPTY = "Press Denoise, and pictures come out of the noise here, step by step."
NO_FILM = "This run has no film of the denoising. Its model can be chosen at the left."


@dataclass(frozen=True)
class Frame:
    """One step that was filmed."""

    step: int
    timestep: int
    alpha_bar: float
    files: tuple[Path, ...]
    """Led, then not led; or the only one."""


@dataclass(frozen=True)
class Denoised:
    """What there is to show."""

    name: str
    key: str
    """Another one where the same folder was filled anew."""
    frames: tuple[Frame, ...]
    of: str
    """x_t, x_0 or both: what a frame shows."""
    led_by: tuple[str, ...]
    """The wishes, in words; empty where there are none."""
    steps: int
    """How many there will be; 0 while that is not known."""
    films: tuple[Path, ...]
    pictures: tuple[Path, ...]
    """One file each, led and not led."""


def read_denoised(name: str, folder: Path) -> Denoised:
    """Read what lies in outputs/NAME/ddpm; a folder that is not there yet has nothing to show."""
    from lab.run import Run

    manifest = Run(folder.parent.parent, name, "ddpm").read_manifest()
    settings = (manifest.get("configuration") or {}).get("ddpm") or {}
    film = settings.get("film") or {}
    lead = film.get("guide") or {}
    reels = [folder / "film"] + ([folder / "film" / "unguided"] if lead else [])
    numbered = [_in_order(reel / "frames") for reel in reels]
    frames = []
    for files in zip(*numbered, strict=False):  # one of them may be a frame ahead
        try:
            frames.append(Frame(*_told(files[0], files[0].stat().st_mtime_ns), files))
        except (OSError, LookupError, ValueError):  # gone, or nobody's frame
            break
    return Denoised(
        name,
        f"{name} {manifest.get('key', '')} {manifest.get('attempts', 1)}",
        tuple(frames),
        str(film.get("of", "x_t")),
        tuple(_wish(loss) for loss in lead.get("losses", ())),
        int((settings.get("sample") or {}).get("steps") or 0),
        tuple(path for reel in reels for path in sorted(reel.glob("film.*"))),
        tuple(path for reel in reels for path in _in_order(reel / "pictures")),
    )


def _in_order(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.png"), key=lambda path: (len(path.name), path.name))


@lru_cache(maxsize=4096)
def _told(file: Path, written: int) -> tuple[int, int, float]:
    """Step, timestep and alpha_bar, which every frame carries in its text."""
    with Image.open(file) as image:
        text = image.info
    return int(text["step"]), int(text["timestep"]), float(text["alpha_bar"])


def _wish(loss: Mapping[str, Any]) -> str:
    target = str(loss.get("target", ""))
    return target if loss.get("loss") == "colour" else f"“{target}”"


def said(frame: Frame, steps: int) -> str:
    """What the frame shows, in words."""
    of = f" of {steps}" if steps else ""
    if frame.timestep < 0:
        return f"Step {frame.step}{of}: the finished pictures"
    if frame.step == 0:
        return f"Step 0{of}: nothing but noise"
    return f"Step {frame.step}{of}: {frame.alpha_bar**0.5:.0%} picture"


def frames_value(denoised: Denoised | None, live: bool) -> dict[str, Any]:
    """What the slider is given (frames.js); None where no run is shown."""
    if denoised is None or not (denoised.frames or live):
        empty = EMPTY if denoised is None else NO_FILM
        return {"key": "", "frames": [], "rows": [], "heads": [], "empty": empty}
    led = "Led to " + " and ".join(denoised.led_by)
    rows = [led, "Not led, from the same noise"] if denoised.led_by else [""]
    heads = HEADS.get(denoised.of, HEADS["x_t"])
    return {
        "key": denoised.key,
        "live": live,
        "total": denoised.steps + 1 if live and denoised.steps else len(denoised.frames),
        "parts": len(heads),
        "gap": GAP,
        "heads": list(heads),
        "rows": rows,
        "frames": [
            {"said": said(one, denoised.steps), "pictures": [address(file) for file in one.files]}
            for one in denoised.frames
        ],
        "empty": "The first step comes in a moment.",
    }
