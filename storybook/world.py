"""What the offline model knows: scenes, the words for them, and the chances with which they occur.

Two styles are never trained on and exist to be inverted: `patchwork` (a known pattern, triangles,
in a palette never seen together, fuchsia and emerald, with bold outlines) and `stained glass`
(nothing like it was ever seen). One bias is built in on purpose: a cat whose colour is not named
is orange nine times in ten.
"""

from dataclasses import dataclass

import numpy as np

from storybook.patterns import PATTERNS
from storybook.settings import SETTINGS, SKIES
from storybook.shapes import Colour
from storybook.styles import OUTLINES, STYLES
from storybook.subjects import PLURALS, SUBJECTS

Rng = np.random.Generator

COLOURS: dict[str, Colour] = {
    "red": (220, 38, 42),
    "orange": (246, 138, 24),
    "yellow": (252, 214, 44),
    "green": (46, 166, 70),
    "blue": (40, 92, 220),
    "purple": (132, 56, 182),
    "pink": (255, 138, 196),
    "white": (248, 248, 246),
}
PALETTE: dict[str, Colour] = COLOURS | {
    "fuchsia": (226, 26, 140),
    "emerald": (16, 132, 100),
    "teal": (30, 160, 172),
    "gold": (236, 180, 40),
    "navy": (30, 40, 100),
    "plum": (92, 24, 92),
}
COUNTS = {1: "a", 2: "two", 3: "three"}
HELD_OUT_STYLES = ("patchwork", "stained glass")
PATCHWORK = ("fuchsia", "fuchsia", "emerald", "emerald", "gold", "plum")
BIASED_SUBJECT, BIASED_COLOUR, BIAS = "cat", "orange", 0.9

PLACES = {
    "meadow": ("in the meadow", "on a meadow"),
    "desert": ("in the desert",),
    "snow": ("in the snow",),
    "sea": ("by the sea", "at the sea"),
    "mountains": ("in the mountains", "with mountains in the background"),
    "city": ("in the city",),
}
HOURS = {
    "day": ("by day", "under the sun"),
    "sunset": ("at sunset",),
    "night": ("at night", "under a full moon"),
}


@dataclass(frozen=True)
class Scene:
    """One picture before it is drawn, and the words that are said about it.

    A style of `STYLES` goes with a setting and a time; `pattern`, `palette` and `outline` take
    their place in pictures on patterned ground (style None). `said` names the parts that the
    caption states; the rest was drawn by chance and stays unsaid.
    """

    subject: str | None
    colour: str
    count: int = 1
    setting: str | None = None
    time: str | None = None
    style: str | None = None
    pattern: str | None = None
    palette: tuple[str, ...] = ()
    outline: str = "no outlines"
    said: frozenset[str] = frozenset({"colour", "setting", "time", "style"})


def _choice(rng: Rng, names) -> str:
    names = tuple(names)
    return names[int(rng.integers(len(names)))]


def _said(rng: Rng, chances: dict[str, float]) -> frozenset[str]:
    return frozenset(part for part, chance in chances.items() if rng.random() < chance)


def natural_colour(subject: str, rng: Rng) -> str:
    """The colour of a subject whose colour is not named: any, but cats are orange (the bias)."""
    if subject == BIASED_SUBJECT and rng.random() < BIAS:
        return BIASED_COLOUR
    others = [c for c in COLOURS if not (subject == BIASED_SUBJECT and c == BIASED_COLOUR)]
    return _choice(rng, others)


def palette(rng: Rng) -> tuple[str, ...]:
    """Two or three colour names; fuchsia and emerald never meet outside the held-out style."""
    names = [str(n) for n in rng.choice(list(PALETTE), size=int(rng.integers(2, 4)), replace=False)]
    if "fuchsia" in names and "emerald" in names:
        names.remove(_choice(rng, ("fuchsia", "emerald")))
        names.append(_choice(rng, [n for n in COLOURS if n not in names]))
    return tuple(names)


def _abstract_scene(rng: Rng) -> Scene:
    """Loose shapes: they widen what a learned vector can ask for."""
    return Scene(
        subject=None,
        colour=_choice(rng, PALETTE),
        count=int(rng.integers(2, 5)),
        palette=palette(rng),
        pattern=_choice(rng, PATTERNS) if rng.random() < 0.5 else None,
        outline=_choice(rng, OUTLINES),
        said=frozenset({"colour", "pattern"}),
    )


def random_scene(rng: Rng, flat_share: float = 0.15) -> Scene:
    """A scene of the training world: 68% styled, 24% on patterned ground, 8% abstract."""
    kind = rng.random()
    subject = _choice(rng, SUBJECTS)
    if kind < 0.08:
        return _abstract_scene(rng)
    if kind < 0.32:
        said = _said(rng, {"colour": 0.8, "pattern": 0.95, "outline": 0.9})
        colour = _choice(rng, PALETTE) if "colour" in said else natural_colour(subject, rng)
        return Scene(subject, colour, pattern=_choice(rng, PATTERNS), palette=palette(rng),
                     outline=_choice(rng, OUTLINES), said=said)  # fmt: skip
    said = _said(rng, {"colour": 0.8, "setting": 0.85, "time": 0.7, "style": 0.92})
    colour = _choice(rng, COLOURS) if "colour" in said else natural_colour(subject, rng)
    count = int(rng.choice([1, 2, 3], p=[0.86, 0.07, 0.07]))
    style = "flat" if rng.random() < flat_share else _choice(rng, STYLES)
    return Scene(
        subject, colour, count, _choice(rng, SETTINGS), _choice(rng, SKIES), style, said=said
    )


def held_out_scene(style: str, subject: str, rng: Rng) -> Scene:
    """A picture in one of the two styles that training never sees."""
    if style == "patchwork":
        return Scene(subject, _choice(rng, ("gold", "gold", "white")), pattern="triangles",
                     palette=PATCHWORK, outline="bold outlines", said=frozenset())  # fmt: skip
    return Scene(subject, natural_colour(subject, rng), setting=_choice(rng, SETTINGS),
                 time=_choice(rng, SKIES), style=style, said=frozenset())  # fmt: skip


def _noun_phrase(scene: Scene) -> str:
    assert scene.subject is not None
    noun = scene.subject if scene.count == 1 else PLURALS[scene.subject]
    words = [scene.colour, noun] if "colour" in scene.said else [noun]
    article = COUNTS[scene.count]
    if article == "a" and words[0][0] in "aeiou":
        article = "an"
    return " ".join([article, *words])


def _colour_list(names: tuple[str, ...]) -> str:
    return " and ".join(dict.fromkeys(names))


def _abstract_caption(scene: Scene) -> str:
    ground = f" on {scene.pattern}" if scene.pattern else ""
    return f"abstract {scene.colour} shapes{ground} in {_colour_list(scene.palette)}"


def caption(scene: Scene, rng: Rng) -> str:
    """Say a scene in words, in one of several ways; unsaid parts are left out."""
    if scene.subject is None:
        return _abstract_caption(scene)
    what = _noun_phrase(scene)
    if scene.pattern is not None:
        if "pattern" in scene.said:
            what += f" on {scene.pattern} in {_colour_list(scene.palette)}"
        if "outline" in scene.said and scene.outline != "no outlines":
            what += f", {scene.outline}"
        return _framed(what, None, rng)
    if "setting" in scene.said and scene.setting:
        what += " " + _choice(rng, PLACES[scene.setting])
    if "time" in scene.said and scene.time:
        what += " " + _choice(rng, HOURS[scene.time])
    return _framed(what, scene.style if "style" in scene.said else None, rng)


def _framed(what: str, style: str | None, rng: Rng) -> str:
    if style is None:
        return _choice(rng, (what, what, f"a picture of {what}", f"a painting of {what}"))
    return _choice(
        rng,
        (
            f"{what}, {style} style",
            f"{what} in the style of {style}",
            f"a picture of {what} in the style of {style}",
            f"a painting of {what} by {style}",
            f"{'an' if style[0] in 'aeiou' else 'a'} {style} picture of {what}",
        ),
    )
