"""Put pictures of experiments into docs/pictures: `make pictures`, after `make demo`.

Pictures of experiments that were not run are left as they are.
"""

import argparse
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
PICTURES = {  # what an experiment made -> its name here, and the width in px to which it is reduced
    "storybook/cropping/contact-sheet.jpg": ("demo-crops", 1200),
    "storybook/inversion/style.png": ("demo-style", 1200),
    "storybook/inversion/previews.png": ("demo-previews", 900),
    "storybook/inversion/curves.png": ("demo-curves", 900),
    "storybook/cfg/contact-sheet.png": ("demo-guidance", 1200),
    "storybook/cfg/curve.png": ("demo-guidance-curve", 900),
    "compare-vectors/sample/a-painting-of-a-mushroom-by-name.png": ("compare-vectors", 964),
}


def main() -> None:
    """Copy the pictures that are there, reduced where they are wide, as JPEG."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--outputs", type=Path, default=HERE.parent / "outputs")
    outputs = options.parse_args().outputs
    (HERE / "pictures").mkdir(exist_ok=True)
    for source, (name, width) in PICTURES.items():
        target = HERE / "pictures" / f"{name}.jpg"
        if (outputs / source).exists():
            _reduced(outputs / source, width).save(target, quality=88)
            print(target)
        else:
            experiment = source.split("/")[0]
            print(f"left: {target} (pseudoword run experiments/{experiment}.yaml makes it)")


def _reduced(path: Path, width: int) -> Image.Image:
    with Image.open(path) as image:
        picture = image.convert("RGB")
    if picture.width <= width:
        return picture
    height = round(picture.height * width / picture.width)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
