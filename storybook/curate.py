"""Draw a folder of pictures of one subject in all colours: `python -m storybook.curate`.

The curated set that evens out what a cat is (experiments/debias-cat.yaml) is made by

    python -m storybook.curate cat datasets/cats

Where a picture is, when, and in which style are drawn as in the model's own training pictures; the
colour is not in the caption, but in a column of metadata.jsonl.
"""

import json
from pathlib import Path

import numpy as np

from lab.images import save_png
from lab.run import write_text
from storybook.draw import folder_command, say
from storybook.illustrator import Drawing, draw
from storybook.settings import SETTINGS, SKIES
from storybook.styles import STYLES
from storybook.subjects import SUBJECTS
from storybook.world import BIASED_COLOUR, COLOURS, Scene

SAID = {"setting": 0.85, "time": 0.7, "style": 0.92}  # as in `world.random_scene`


def curated_drawing(subject: str, colour: str, seed: int, index: int, size: int = 64) -> Drawing:
    """Picture number `index` of a subject in a colour that its caption does not say."""
    rng = np.random.default_rng([seed, index, 1 + list(COLOURS).index(colour), 0xCA7])
    said = frozenset(part for part, chance in SAID.items() if rng.random() < chance)
    setting, time, style = (str(rng.choice(list(names))) for names in (SETTINGS, SKIES, STYLES))
    return draw(Scene(subject, colour, 1, setting, time, style, said=said), rng, size)


def draw_folder(subject: str, folder: Path, each: int, orange: int, seed: int = 0) -> list[Path]:
    """Draw `each` pictures of every colour, but `orange` orange ones: as pictures of cats are."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = dict.fromkeys(COLOURS, each) | {BIASED_COLOUR: orange}
    drawn = [(colour, k) for colour, count in counts.items() for k in range(count)]
    paths, lines = [], []
    for number, (colour, index) in enumerate(drawn, 1):
        drawing = curated_drawing(subject, colour, seed, index)
        path = folder / f"{number:03d}.png"
        save_png(drawing.image, path)
        paths.append(path)
        line = {"file_name": path.name, "text": drawing.caption, "colour": colour}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    write_text(folder / "metadata.jsonl", "".join(lines))
    return paths


def main(argv: list[str] | None = None) -> None:
    """The command."""
    parser = folder_command("storybook.curate", __doc__, "subject", SUBJECTS)
    parser.add_argument("--each", type=int, default=12, help="pictures of a colour")
    parser.add_argument("--orange", type=int, default=36, help="pictures of the commonest colour")
    options = parser.parse_args(argv)
    say(draw_folder(**vars(options)), options.folder)


if __name__ == "__main__":
    main()
