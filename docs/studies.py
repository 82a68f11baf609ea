"""Put the unconditional studies' pictures and tables into docs/ddpm.md: `python docs/studies.py`.

Runs their experiments, unless they are done (together about an hour on two cores).
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

from lab.run import write_atomically, write_text

HERE = Path(__file__).parent
ROOT = HERE.parent
PAGE = HERE / "ddpm.md"
EXPERIMENTS = (
    "manga-timesteps",
    "manga-randomness",
    "nouns",
    "ukiyo-e",
    "guided-drawn",
    "flowers",
    "faces",
)
PICTURES = {  # file of an experiment's job ddpm -> its name here, and its largest width in px
    "manga-timesteps/study/timesteps.png": ("ddpm-timesteps", 1000),
    "manga-randomness/study/randomness-T200-raw.png": ("ddpm-randomness-raw", 1000),
    "manga-randomness/study/randomness-T200-scaled.png": ("ddpm-randomness-scaled", 1000),
    "manga-randomness/study/samplers.png": ("ddpm-samplers", 900),
    "nouns/schedules.png": ("ddpm-schedules", 1000),
    "nouns/strip-schedules.png": ("ddpm-strip", 700),
    "ukiyo-e/samples.png": ("ddpm-ukiyo-e", 700),
    "guided-drawn/guide/guidance.png": ("ddpm-guided", 1000),
    "guided-drawn/guide/curves.png": ("ddpm-guided-curves", 1100),
}
FILMS = {"nouns/film/film.gif": "ddpm-nouns.gif"}
MARK = re.compile(r"(<!-- table: (\S+) -->\n).*?(\n?<!-- end of table -->)", re.DOTALL)
"""In the page: a table of an experiment, such as nouns/schedules, is put between these."""


def finished(experiment: str, outputs: Path) -> None:
    """Run an experiment's job, unless it is done."""
    command = [sys.executable, "-m", "studio", "ddpm", "--outputs", str(outputs)]
    subprocess.run([*command, f"experiments/{experiment}.yaml"], cwd=ROOT, check=True)


def path_in(outputs: Path, name: str) -> Path:
    """`nouns/film/film.gif` -> OUTPUTS/nouns/ddpm/film/film.gif."""
    experiment, _, rest = name.partition("/")
    return outputs / experiment / "ddpm" / rest


def save_picture(source: Path, name: str, width: int) -> None:
    """Write a picture as JPEG, reduced where it is wider than `width`."""
    with Image.open(source) as image:
        picture = image.convert("RGB")
    if picture.width > width:
        height = round(picture.height * width / picture.width)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    target = HERE / "pictures" / f"{name}.jpg"
    write_atomically(target, lambda temporary: picture.save(temporary, quality=86))
    print(target)


def with_tables(text: str, outputs: Path) -> str:
    """The page with each marked table as its experiment has it now."""

    def table(found: re.Match[str]) -> str:
        path = path_in(outputs, found[2]).with_suffix(".md")
        _, _, rest = path.read_text(encoding="utf-8").partition("\n\n")
        return f"{found[1]}{rest.strip()}\n{found[3].lstrip()}"

    return MARK.sub(table, text)


def main() -> None:
    """Every experiment, picture and table; or those of some experiments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outputs", type=Path, default=ROOT / "outputs", help="of the experiments")
    options = parser.parse_args()
    for experiment in EXPERIMENTS:
        finished(experiment, options.outputs)
    for source, (name, width) in PICTURES.items():
        save_picture(path_in(options.outputs, source), name, width)
    for source, name in FILMS.items():
        data = path_in(options.outputs, source).read_bytes()
        write_atomically(HERE / "pictures" / name, lambda path, data=data: path.write_bytes(data))
    write_text(PAGE, with_tables(PAGE.read_text(encoding="utf-8"), options.outputs))


if __name__ == "__main__":
    main()
