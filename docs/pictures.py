"""Put the pictures of the README into docs/pictures: `make pictures`, after `make demo`."""

from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
DEMO = HERE.parent / "outputs" / "storybook"
PICTURES = {  # file of the demo -> its name here, and the width in px to which it is reduced
    "cropping/contact-sheet.jpg": ("demo-crops", 1200),
    "inversion/style.png": ("demo-style", 1200),
    "inversion/previews.png": ("demo-previews", 900),
    "inversion/curves.png": ("demo-curves", 900),
    "cfg/contact-sheet.png": ("demo-guidance", 1200),
    "cfg/curve.png": ("demo-guidance-curve", 900),
}


def main() -> None:
    """Copy the demo's pictures, reduced where they are wide, as JPEG."""
    (HERE / "pictures").mkdir(exist_ok=True)
    for source, (name, width) in PICTURES.items():
        path = DEMO / source
        if not path.exists():
            raise SystemExit(f"{path} is not there; run `make demo` first")
        with Image.open(path) as image:
            picture = image.convert("RGB")
        if picture.width > width:
            height = round(picture.height * width / picture.width)
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        target = HERE / "pictures" / f"{name}.jpg"
        picture.save(target, quality=88)
        print(target)


if __name__ == "__main__":
    main()
