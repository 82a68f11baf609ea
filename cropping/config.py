"""The settings of cropping."""

from typing import Annotated, Literal

from pydantic import Field

from lab.captions import CaptionRules
from lab.config import Section

Strategy = Literal["focal", "centre"]
Damage = Literal["gutter", "crease", "glare", "shading"]


class Captions(CaptionRules):
    """Where the captions of the crops come from: one for each crop, in a .txt beside it."""

    automatic: str = ""
    """A model that describes each crop, in place of the file name: the hub id or folder of a
    transformers image-to-text model, such as Salesforce/blip-image-captioning-base. Empty: none."""


class Scans(Section):
    """Damage that scanning and photographing books leaves, and what is done about it."""

    find: tuple[Damage, ...] = ("gutter", "crease", "glare", "shading")
    """What to look for: gutter, the dark fold of a book; crease, a folded page; glare, a lamp's
    reflection; shading, light that falls off across the page. An empty list: nothing."""
    masks: Literal["file", "alpha", "none"] = "file"
    """How training is told to give no weight to damage, padding and what was transparent: file, a
    `NAME-masklabel.png` beside the crop (black: ignore); alpha, the crop's transparency; none."""
    repair: bool = False
    """Paint over creases, gutters and glare from their surroundings, and even out shading. What was
    repaired is invented: it is learned from, and not masked."""


class Config(Section):
    """Cut squares with captions out of every picture of a folder."""

    source: str = Field(min_length=1)
    """Folder of pictures, those in the folders below it included; relative to where you are."""
    size: int = Field(512, ge=16, le=4096, multiple_of=8)
    """Side of the crops in pixels. Pictures that are smaller are enlarged, and it is said so."""
    strategy: Strategy = "focal"
    """Where the window goes: focal, around what matters; centre, in the middle."""
    pad: Literal["auto", "never", "always"] = "auto"
    """Show the whole picture, with something at its sides, instead of cutting. auto: where the crop
    would lose more of what matters than most_lost, or cut through more of it than most_cut.
    Training gives no weight to the padding."""
    fill: Literal["edge", "blur", "mirror"] = "edge"
    """What the padding is: the edge's colour, the picture mirrored and blurred, or mirrored."""
    most_lost: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Share of what matters that a crop may cut off before it is padded instead."""
    most_cut: Annotated[float, Field(ge=0, le=2)] = 0.7
    """What a crop's edges may cut through before it is padded instead: 0, nothing that matters at
    all; 1, for both edges together, as much as lies on the line that matters most; 2, anything.
    Heads are small shares of what matters, but to cut one off is to cut through something."""
    tiles: bool = False
    """Cut long or large pictures into several overlapping squares. Smaller squares are cut only
    where they have `size` source pixels: nothing is enlarged for it."""
    buckets: bool = False
    """Keep a picture's shape: crops of the same area with sides in steps of 64 px, instead of
    squares. What trains on them has to batch pictures of one shape together."""
    detector: str = ""
    """A detector of heads or figures, which then count beside the picture itself: the path of a
    YuNet .onnx file, or the hub id or folder of a transformers model. Empty: none."""
    labels: tuple[str, ...] = ("a face", "a head", "an animal", "a person")
    """What a zero-shot detector is asked to find."""
    captions: Captions = Captions()
    """Where the captions come from."""
    scans: Scans = Scans()
    """Damage of scanned pages."""
    drop_duplicates: Annotated[int, Field(ge=0, le=32)] | None = None
    """Leave out a picture that looks like one before it: the most bits, of the 64 of a perceptual
    hash, in which the two may differ (0: the same at a glance, 6: the same plate scanned twice).
    null: such pictures are reported and kept."""
    drop_blank: Annotated[float, Field(gt=0, le=64)] | None = None
    """Leave out crops with nothing in them: those whose brightness, blurred, varies by less than
    this (standard deviation, of 255; paper has about 2). null: they are reported and kept."""
    corrections: str = ""
    """A YAML file of corrections by hand, which survive every rerun. One entry for each picture, by
    its path in the source folder, such as `07 a cat.png: {focus: [310, 120]}`, with any of: focus
    [x, y] or boxes [[x0, y0, x1, y1], ...] in px of the upright picture, or strategy (focal,
    centre, pad, tiles); caption, or captions, one for each of the boxes; ignore, boxes that
    training gives no weight; damage: false, what was found is none; drop: true. Empty:
    corrections.yaml in the source folder, if there."""
    strict: bool = False
    """Refuse a folder with a picture or caption that cannot be read. Otherwise it is left out, said
    in one line, and the rest goes on."""
    workers: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = "auto"
    """Processes that read and cut. auto: one for each core, as far as there are pictures for them,
    and a single one with a transformers detector, which each of them would have to load."""
