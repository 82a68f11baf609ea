"""Draw a folder of pictures, captioned by file name: `python -m storybook.draw`.

The demo's scans in datasets/ are made by

    python -m storybook.draw patchwork datasets/patchwork --count 24
    python -m storybook.draw patchwork datasets/patchwork-held-out --unseen --count 12 --square

and those of the second style that the model never saw by the same commands with "stained glass".
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from storybook.illustrator import Drawing, held_out_drawing
from storybook.subjects import SUBJECTS
from storybook.world import HELD_OUT_STYLES

UNSEEN = ("rabbit", "house", "boat", "mushroom")  # subjects that the demo's word never sees
SEEN = tuple(subject for subject in SUBJECTS if subject not in UNSEEN)
SIZES = ((768, 512), (512, 700), (640, 560), (840, 520))  # scans come in all formats


def draw_folder(
    style: str, folder: Path, count: int, unseen: bool = False, square: bool = False, seed: int = 0
) -> list[Path]:
    """Draw `count` pictures of a held-out style as numbered JPEG files named by their captions.

    `unseen` draws the subjects of `UNSEEN`, else all others; `square` draws them centred at
    256 px, else anywhere in a picture of one of `SIZES`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    subjects = UNSEEN if unseen else SEEN
    paths = []
    for index in range(count):
        subject = subjects[index % len(subjects)]
        size = (256, 256) if square else SIZES[(index // 2) % len(SIZES)]
        drawing: Drawing = held_out_drawing(
            style, subject, seed + (1 if unseen else 0), index, size, roam=0.0 if square else 1.0
        )
        path = folder / f"{index + 1:02d} a {subject}.jpg"
        drawing.image.save(path, quality=90, subsampling=0)
        paths.append(path)
    return paths


def folder_command(
    module: str, about: str | None, what: str, choices: Iterable[str]
) -> argparse.ArgumentParser:
    """The parser of a command that draws a folder of pictures: WHAT FOLDER [--seed N]."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(what, choices=list(choices))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    return parser


def say(paths: Sequence[Path], folder: Path) -> None:
    """What such a command says at its end."""
    print(f"drew {len(paths)} pictures into {folder}")


def main(argv: list[str] | None = None) -> None:
    """The command."""
    parser = folder_command("storybook.draw", __doc__, "style", HELD_OUT_STYLES)
    parser.add_argument("--count", type=int, default=24, help="(default: %(default)s)")
    parser.add_argument("--unseen", action="store_true", help=f"draw {', '.join(UNSEEN)}")
    parser.add_argument(
        "--square", action="store_true", help="256 px squares, subject in the middle"
    )
    options = parser.parse_args(argv)
    say(draw_folder(**vars(options)), options.folder)


if __name__ == "__main__":
    main()
