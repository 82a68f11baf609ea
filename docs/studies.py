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
WIDEST = 1000  # px of a picture on the page
FRAMES = 30  # of a film on the page: noise does not compress
MARK = re.compile(r"(<!-- (table|picture): (\S+)(?: ([^\n]*?))? -->\n).*?(<!-- end -->)", re.DOTALL)
"""In the page: between these a table of an experiment is put, such as nouns/schedules, or a
picture, such as nouns/film/film.gif with its description."""


def finished(experiment: str, outputs: Path) -> None:
    """Run an experiment's job, unless it is done."""
    command = [sys.executable, "-m", "studio", "ddpm", "--outputs", str(outputs)]
    subprocess.run([*command, f"experiments/{experiment}.yaml"], cwd=ROOT, check=True)


def path_in(outputs: Path, name: str) -> Path:
    """`nouns/film/film.gif` -> OUTPUTS/nouns/ddpm/film/film.gif."""
    experiment, _, rest = name.partition("/")
    return outputs / experiment / "ddpm" / rest


def save_picture(source: Path, target: Path) -> None:
    """A picture as JPEG, reduced where it is wider than WIDEST; a film by `save_film`."""
    if source.suffix == ".gif":
        save_film(source, target)
        return
    with Image.open(source) as image:
        picture = image.convert("RGB")
    if picture.width > WIDEST:
        height = round(picture.height * WIDEST / picture.width)
        picture = picture.resize((WIDEST, height), Image.Resampling.LANCZOS)
    write_atomically(target, lambda path: picture.save(path, quality=86))


def save_film(source: Path, target: Path) -> None:
    """A GIF with FRAMES of its frames, the first and the last among them, as long as it was."""
    with Image.open(source) as film:
        count = getattr(film, "n_frames", 1)
        shown = min(count, FRAMES)
        frames, milliseconds = [], 0
        wanted = {round(k * (count - 1) / max(1, shown - 1)) for k in range(shown)}
        for index in range(count):
            film.seek(index)
            milliseconds += film.info.get("duration", 0)
            if index in wanted:
                still = film.convert("RGB").quantize(128, dither=Image.Dither.NONE)
                frames.append(still)
    each = round(milliseconds / shown)
    write_atomically(
        target,
        lambda path: frames[0].save(
            path, "GIF", save_all=True, append_images=frames[1:], duration=each, loop=0
        ),
    )


def filled(text: str, outputs: Path, pictures: Path) -> str:
    """The page with each mark's table or picture as its experiment has it now; what an experiment
    has not made yet stays as it is."""

    def fill(found: re.Match[str]) -> str:
        opening, kind, name, what, closing = found.groups()
        if kind == "table":
            path = path_in(outputs, name).with_suffix(".md")
            if not path.exists():
                return found[0]
            _, _, rest = path.read_text(encoding="utf-8").partition("\n\n")
            return f"{opening}{rest.strip()}\n{closing}"
        path = path_in(outputs, name)
        if not path.exists():
            return found[0]
        suffix = ".gif" if path.suffix == ".gif" else ".jpg"
        target = pictures / f"ddpm-{name.partition('/')[0]}-{path.stem}{suffix}"
        save_picture(path, target)
        return f"{opening}![{what}](pictures/{target.name})\n{closing}"

    return MARK.sub(fill, text)


def main() -> None:
    """Run every experiment, then put what they made into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outputs", type=Path, default=ROOT / "outputs", help="of the experiments")
    parser.add_argument("--as-it-is", action="store_true", help="run nothing: take what is there")
    options = parser.parse_args()
    for experiment in () if options.as_it_is else EXPERIMENTS:
        finished(experiment, options.outputs)
    text = PAGE.read_text(encoding="utf-8")
    write_text(PAGE, filled(text, options.outputs, HERE / "pictures"))


if __name__ == "__main__":
    main()
