"""What lies in a sweep's folder, for the viewer: lines of frames, curves, films.

Everything is read from files, so it does not matter who drew them, and whether all of it is there
yet. A folder with nothing but frames is enough: every frame says in its PNG text what it is.
"""

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image
from pydantic import TypeAdapter, ValidationError

from cfg.cells import file_stem, plain
from cfg.config import Rule, ScaleRange, exact_scales
from lab.run import MANIFEST, METRICS
from studio.web.runs.listing import BETWEEN

CURVES = {
    "speed": "How fast pictures change",
    "match": "How well they fit the prompt",
    "recognised": "How surely they are recognised",
    "saturation": "Saturation",
    "contrast": "Contrast",
}
POINTS = 400
FILMS = (".mp4", ".webm", ".gif")
_SCALES = TypeAdapter(ScaleRange | tuple[float, ...])


@dataclass(frozen=True)
class Strip:
    """The frames of one line of the sweep, and what was measured of them."""

    folder: str
    """Of its frames, in frames/; the same in every run that draws the same line."""
    about: dict[str, Any]
    """As the frames say: prompt, seed, rule, steps ...; empty where they say nothing."""
    label: str
    """In what it differs from the other lines."""
    drawn: tuple[int, ...]
    """Places in the range of scales whose picture is there."""
    between: tuple[int, ...] = ()
    """Likewise, but in the folder of the run that draws single scales."""
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    transitions: tuple[tuple[float, float, float, float], ...] = ()
    """Of this seed alone: (at, from, to, how many times faster than beside it)."""
    shared: tuple[tuple[float, float, float], ...] = ()
    """Of all its seeds: (at, from, to), where at least 95% of resamplings have them."""


@dataclass(frozen=True)
class Shown:
    """A sweep as it is to be seen now."""

    name: str
    folder: Path
    scales: tuple[Decimal, ...]
    """Every scale of the range, drawn or not, rising."""
    strips: tuple[Strip, ...]
    films: tuple[Path, ...]
    sheet: Path | None
    report: Path | None
    complete: bool
    fps: float
    stamp: int
    """Changes when what was made of the frames is made anew."""


def read_sweep(outputs: Path, name: str) -> Shown:
    """outputs/NAME/cfg as it is now; without strips where nothing is drawn yet."""
    folder = outputs / name / "cfg"
    manifest = _json(folder / MANIFEST) or {}
    told = _mapping(_mapping(manifest.get("configuration")).get("cfg"))
    own, more = _frames(folder), _frames(outputs / f"{name}{BETWEEN}" / "cfg")
    listing = _mapping(_json(folder / "sweep.json"))
    scales = _scales(told, listing)
    scales = tuple(sorted({*scales, *(s for line in own.values() for s in line)}))
    places = {scale: place for place, scale in enumerate(scales)}
    abouts = {line: _about(folder / "frames" / line, own[line]) for line in own}
    order = _in_order(abouts, told, listing)
    labels = _labels([abouts[line] for line in order])
    measured = _measured(folder, listing)
    strips = tuple(
        Strip(
            line,
            abouts[line],
            label or line,
            tuple(sorted(places[scale] for scale in own[line])),
            tuple(
                sorted(places[s] for s in more.get(line, {}) if s in places and s not in own[line])
            ),
            **measured.get(line, {}),
        )
        for line, label in zip(order, labels, strict=True)
    )
    films = [folder / f"guidance{suffix}" for suffix in FILMS]
    return Shown(
        name,
        folder,
        scales,
        strips,
        tuple(film for film in films if film.is_file()),
        _there(folder / "contact-sheet.png"),
        _there(folder / "report.html"),
        manifest.get("status") == "complete",
        _rate(told),
        _stamp(folder / METRICS),
    )


def sweeps(outputs: Path) -> list[str]:
    """The names of the runs that have frames or are being drawn, the newest first."""
    found = []
    for folder in outputs.glob("*/cfg"):
        name = folder.parent.name
        if name.startswith(".") or name.endswith(BETWEEN):
            continue
        if (folder / MANIFEST).exists() or (folder / "frames").is_dir():
            found.append((folder.stat().st_mtime, name))
    return [name for _, name in sorted(found, reverse=True)]


def between(outputs: Path, name: str, wanted: Sequence[Decimal]) -> dict[str, Any]:
    """The experiment that draws some more scales of a run's lines, as that run would draw them.

    It has a folder of its own, since a run keeps no pictures outside of its range, and a film that
    is finished stays finished.

    Raises:
        LookupError: where the run does not say what it was told, or at which batch size it drew.
    """
    folder = outputs / name / "cfg"
    manifest = _mapping(_json(folder / MANIFEST))
    told = dict(_mapping(_mapping(manifest["configuration"])["cfg"]))
    size = manifest.get("batch_size") or _mapping(_json(folder / "batch-size.json"))["batch_size"]
    before = {scale for line in _frames(outputs / f"{name}{BETWEEN}" / "cfg").values()
              for scale in line}  # fmt: skip
    beside = [str(path) for path in sorted((folder.parent / "inversion").glob("*.safetensors"))]
    told |= {
        "guidance_scales": [float(scale) for scale in sorted({*before, *wanted})],
        "batch_size": int(size),
        "words": list(dict.fromkeys([*told.get("words", ()), *beside])),
        "analysis": {"match": "none", "features": "none"},
        "page": {"pictures": 2},
    }
    return {"name": f"{name}{BETWEEN}", "cfg": told}


def payload(shown: Shown, url: str = "/gradio_api/file=") -> dict[str, Any]:
    """What the viewer is told: how a picture's address follows from its line and scale."""
    more = shown.folder.parent.with_name(f"{shown.name}{BETWEEN}") / "cfg"

    def address(path: Path | None) -> str | None:
        return None if path is None else f"{url}{quote(path.as_posix())}?{shown.stamp}"

    def frames(folder: Path, strip: Strip) -> str:
        return f"{url}{quote((folder / 'frames' / strip.folder).as_posix())}"

    return {
        "name": shown.name,
        "scales": [plain(scale) for scale in shown.scales],
        "stems": [file_stem(scale) for scale in shown.scales],
        "fps": shown.fps,
        "complete": shown.complete,
        "lines": [
            {
                "key": strip.folder,
                "label": strip.label,
                "prompt": strip.about.get("prompt", ""),
                "seed": strip.about.get("seed"),
                "base": frames(shown.folder, strip),
                "more": frames(more, strip),
                "drawn": strip.drawn,
                "between": strip.between,
                "curves": strip.curves,
                "transitions": strip.transitions,
                "shared": strip.shared,
            }
            for strip in shown.strips
        ],
        "quantities": CURVES,
        "films": {film.suffix[1:]: address(film) for film in shown.films},
        "sheet": address(shown.sheet),
        "report": address(shown.report),
    }


def _frames(folder: Path) -> dict[str, dict[Decimal, str]]:
    """Line -> scale -> file, of the frames that are there."""
    lines: dict[str, dict[Decimal, str]] = {}
    for line in sorted(_folders(folder / "frames")):
        found = {}
        for name in os.listdir(folder / "frames" / line):
            stem, dot, suffix = name.rpartition(".")
            if dot and suffix == "png" and not name.startswith("."):
                try:
                    scale = Decimal(stem) + 0
                except InvalidOperation:
                    continue
                if name == file_stem(scale) + ".png":  # 7.png is none, and hides no 007.00.png
                    found[scale] = name
        if found:
            lines[line] = found
    return lines


def _folders(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return


def _about(folder: Path, frames: Mapping[Decimal, str]) -> dict[str, Any]:
    """What the first frame of a line says of itself: nothing about it changes with the scale."""
    return _text_of(folder / frames[min(frames)])


@lru_cache(4096)
def _text_of(path: Path) -> dict[str, Any]:
    try:
        with Image.open(path) as image:
            said = json.loads(str(image.info.get("parameters", "{}")))
    except (OSError, ValueError, SyntaxError):
        return {}
    return said if isinstance(said, dict) else {}


def _scales(told: Mapping[str, Any], listing: Mapping[str, Any]) -> tuple[Decimal, ...]:
    try:
        if "guidance_scales" in told:
            text = json.dumps(told["guidance_scales"])
            return exact_scales(_SCALES.validate_json(text, by_alias=True))
        return tuple(Decimal(scale) for scale in listing.get("scales", ()))
    except (ValidationError, InvalidOperation, TypeError):
        return ()


def _in_order(
    abouts: Mapping[str, Mapping[str, Any]], told: Mapping[str, Any], listing: Mapping[str, Any]
) -> list[str]:
    """The lines in the order of the experiment: by what sweep.json says, else by its settings."""
    said = [json.dumps(_essence(line), sort_keys=True) for line in listing.get("lines", ())]
    lists = {key: _list(told.get(key)) for key in ("seed", "steps", "prompt")}

    def place(line: str) -> tuple:
        about = abouts[line]
        whole = json.dumps(_essence(about), sort_keys=True)
        rules = [
            rule["name"] if isinstance(rule, dict) else rule for rule in _list(told.get("rule"))
        ]
        return (
            said.index(whole) if whole in said else len(said),
            _where(about.get("template"), lists["prompt"]),
            str(about.get("word")),
            _where(_mapping(about.get("rule")).get("name"), rules),
            _where(about.get("steps"), lists["steps"]),
            _where(about.get("seed"), lists["seed"]),
            line,
        )

    return sorted(abouts, key=place)


def _essence(about: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("prompt", "negative_prompt", "seed", "rule", "steps", "scheduler")
    return {key: about.get(key) for key in keys}


def _labels(abouts: Sequence[Mapping[str, Any]]) -> list[str]:
    """What sets each line apart from the others; the rule in words."""

    def rule(about: Mapping[str, Any]) -> str:
        try:
            return str(Rule.model_validate_json(json.dumps(about.get("rule") or {})))
        except ValidationError:
            return "another rule"

    parts = [
        lambda about: str(about.get("word") or about.get("prompt", "")),
        rule,
        lambda about: f"{about.get('steps')} steps",
        lambda about: f"seed {about.get('seed')}",
    ]
    varying = [part for part in parts if len({part(about) for about in abouts}) > 1]
    chosen = varying or ([parts[3]] if len(abouts) == 1 and abouts[0] else [])
    return [", ".join(part(about) for part in chosen if part(about)) for about in abouts]


def _measured(folder: Path, listing: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Line -> its curves and transitions, of a sweep that is finished."""
    stamps = tuple(_stamp(folder / name) for name in (METRICS, "analysis.json"))
    return _measured_of(folder, stamps) if listing and all(stamps) else {}


@lru_cache(32)
def _measured_of(folder: Path, stamps: tuple[int, ...]) -> dict[str, dict[str, Any]]:
    listing = _mapping(_json(folder / "sweep.json"))
    analysis = _mapping(_json(folder / "analysis.json"))
    rows: dict[int, list[dict[str, Any]]] = {}
    for text in (folder / METRICS).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(text)
            rows.setdefault(row["line"], []).append(row)
        except (ValueError, LookupError, TypeError):
            continue
    folders = {frame["line"]: Path(frame["file"]).parent.name for frame in listing["frames"]}
    found = {}
    for number, line in enumerate(listing["lines"]):
        if number in folders and number in rows:
            found[folders[number]] = {"curves": _curves(rows[number]), **_turns(line, analysis)}
    return found


def _curves(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Points (scale, value) of each quantity; the speed stands in the middle of its gap."""
    rows = sorted(rows, key=lambda row: row["guidance_scale"])
    curves: dict[str, list[tuple[float, float]]] = {"speed": []}
    for before, row in itertools.pairwise(rows):
        low, high = before["guidance_scale"], row["guidance_scale"]
        if row.get("distance_seen") is not None and high > low:
            curves["speed"].append(((low + high) / 2, row["distance_seen"] / (high - low)))
    for name in CURVES:
        if name != "speed":
            curves[name] = [
                (row["guidance_scale"], row[name]) for row in rows if row.get(name) is not None
            ]
    return {name: _thinned(points) for name, points in curves.items() if len(points) > 1}


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most POINTS points: of each stretch the highest, so that no peak is lost."""
    size = -(-len(points) // POINTS)
    parts = [points[k : k + size] for k in range(0, len(points), size)]
    best = [max(part, key=lambda point: point[1]) for part in parts]
    return [(round(x, 4), float(f"{y:.4g}")) for x, y in best]


def _turns(line: Mapping[str, Any], analysis: Mapping[str, Any]) -> dict[str, Any]:
    """The transitions of a line's own seed, and those that its seeds share."""
    keys = ("prompt", "negative_prompt", "rule", "steps", "scheduler")
    for group in analysis.get("groups", ()):
        if all(group.get(key) == line.get(key) for key in keys) and line["seed"] in group["seeds"]:
            own = group["transitions_of_each_seed"][group["seeds"].index(line["seed"])]
            sure = [s for s in group["shared_transitions"] if s["support"] >= 0.95]
            return {
                "transitions": tuple((t["at"], t["low"], t["high"], t["factor"]) for t in own),
                "shared": tuple((s["at"], *s["interval"]) for s in sure),
            }
    return {}


def _rate(told: Mapping[str, Any]) -> float:
    rate = _mapping(told.get("video")).get("fps", 14.0)
    return float(rate) if isinstance(rate, int | float) and 0 < rate <= 120 else 14.0


def _there(path: Path) -> Path | None:
    return path if path.is_file() else None


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns // 1_000_000
    except OSError:
        return 0


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _where(value: Any, among: Sequence[Any]) -> int:
    return among.index(value) if value in among else len(among)
