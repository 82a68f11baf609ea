"""Draw a scene: the seeded illustrator of the training pictures and of the demo's scans."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from storybook import world
from storybook.patterns import PATTERNS
from storybook.settings import SETTINGS, sky
from storybook.shapes import Shape, bounds, box, ellipse, place, polygon
from storybook.styles import OUTLINES, STYLES, stained_glass
from storybook.subjects import SUBJECTS
from storybook.world import PALETTE, Scene

SUPERSAMPLING = 256  # least height in px at which a picture is drawn, before it is reduced


@dataclass(frozen=True)
class Drawing:
    """A picture, its caption, the scene it shows and where its subjects are.

    `boxes` are (x0, y0, x1, y1) in px of the picture, one for each subject.
    """

    image: Image.Image
    caption: str
    scene: Scene
    boxes: tuple[tuple[float, float, float, float], ...]


def _subjects(scene: Scene, width: float, rng: np.random.Generator, roam: float):
    """The scene's subjects, placed on the ground; each as its own list of shapes."""
    assert scene.subject is not None
    colour = PALETTE[scene.colour]
    one = scene.count == 1
    scale = rng.uniform(0.34, 0.4) if one else rng.uniform(0.6, 0.66) / (scene.count + 0.9)
    scale *= min(1.0, width)
    x = width / 2 + rng.uniform(-0.05, 0.05) + roam * rng.uniform(-1, 1) * (width - 2 * scale) / 2
    y = 0.95 - scale + rng.uniform(-0.05, 0.0)
    if scene.subject in ("balloon", "fish", "bird") or scene.pattern is not None:
        y = 0.5 + rng.uniform(-0.06, 0.06)
    figures = []
    for k in range(scene.count):
        middle = x + (k - (scene.count - 1) / 2) * 2.15 * scale
        flip = bool(rng.random() < 0.5)
        figures.append(place(SUBJECTS[scene.subject](colour), middle, y, scale, flip))
    return figures


def _abstract(scene: Scene, width: float, rng: np.random.Generator) -> list[Shape]:
    shapes = []
    for _ in range(scene.count * 3):
        x, y, r = rng.uniform(0, width), rng.uniform(0, 1), rng.uniform(0.08, 0.26)
        named = rng.random() < 0.6
        red, green, blue = (0, 0, 0) if named else rng.integers(0, 256, 3).tolist()
        colour = PALETTE[scene.colour] if named else (red, green, blue)
        if rng.random() < 0.5:
            shapes.append(ellipse(x, y, r, r * rng.uniform(0.4, 1), colour, turn=rng.uniform(0, 3)))
        else:
            angle = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 6))))
            shapes.append(
                polygon(np.stack([np.cos(angle), np.sin(angle)], 1) * r + (x, y), colour, "subject")
            )
    return shapes


def _background(scene: Scene, width: float, rng: np.random.Generator) -> list[Shape]:
    if scene.pattern is not None:
        return PATTERNS[scene.pattern](width, [PALETTE[n] for n in scene.palette], rng)
    if scene.setting is None:
        return [box(0, 0, width, 1, PALETTE[scene.palette[0]], "sky")]
    assert scene.time is not None
    return [
        *sky(width, scene.time, rng),
        *SETTINGS[scene.setting](width, scene.time, rng),
    ]


def draw(
    scene: Scene, rng: np.random.Generator, size: int | tuple[int, int] = 64, roam=0.0
) -> Drawing:
    """Draw a scene.

    Args:
        scene: what to draw.
        rng: where everything left open (places, flips, textures, the wording) comes from.
        size: height in px, or (width, height).
        roam: 0 keeps the subject near the middle, 1 lets it stand anywhere in a wide picture.
    """
    columns, rows = (size, size) if isinstance(size, int) else size
    width, side = columns / rows, max(2 * rows, SUPERSAMPLING)
    figures = [_abstract(scene, width, rng)]
    background = _background(scene, width, rng)
    if scene.subject is not None:
        figures = _subjects(scene, width, rng, roam)
    shapes = background + [shape for figure in figures for shape in figure]
    if scene.style is None:
        paint = OUTLINES[scene.outline]
    else:
        paint = stained_glass if scene.style == "stained glass" else STYLES[scene.style]
    image = paint(shapes, width, side, rng)
    if image.size != (columns, rows):
        image = image.resize((columns, rows), Image.Resampling.BOX)
    boxes = [tuple(v * rows for v in bounds(f)) for f in figures] if scene.subject else []
    return Drawing(image, world.caption(scene, rng), scene, tuple(boxes))  # type: ignore[arg-type]


def training_drawing(seed: int, index: int, size: int = 64, flat_share: float = 0.15) -> Drawing:
    """Picture number `index` of the training world: the same for the same seed, in any order."""
    rng = np.random.default_rng([seed, index])
    return draw(world.random_scene(rng, flat_share), rng, size)


def held_out_drawing(
    style: str,
    subject: str,
    seed: int,
    index: int,
    size: int | tuple[int, int] = 64,
    roam: float = 0.0,
) -> Drawing:
    """A picture in a held-out style ("patchwork" or "stained glass")."""
    rng = np.random.default_rng([seed, index, 1 + world.HELD_OUT_STYLES.index(style)])
    return draw(world.held_out_scene(style, subject, rng), rng, size, roam)
