"""Put pictures of the studio into docs/pictures: `python docs/screenshots.py`, after `make demo`.

Opens each tab in Debian's chromium at 1280 and at 390 px, over a folder of its own with what the
demo made; crops and a film of denoising are made for it, in about a minute.
"""

import argparse
import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from studio.cli import main as pseudoword
from studio.web import app
from studio.web.bench import Bench
from studio.web.denoise.form import Form, experiment_of
from studio.web.experiments import as_yaml
from studio.web.places import Places
from studio.web.queue import Queue

HERE = Path(__file__).parent
EXPERIMENT = HERE.parent / "experiments" / "storybook.yaml"
CHROMIUM = "/usr/bin/chromium"
SIZES = {1280: 1180, 390: 1300}
"""Width of the window in px -> its height."""
LARGEST = 250_000
"""Bytes of a picture."""


def main() -> None:
    """Make what is to be seen, serve it, and take the pictures."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--outputs", type=Path, default=HERE.parent / "outputs")
    options.add_argument("--port", type=int, default=7899)
    options.add_argument("--keep", type=Path, help="make the runs in this folder, and keep them")
    wanted = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outputs = (wanted.keep or Path(folder) / "outputs").resolve()
        places = Places([HERE.parent / "datasets"], outputs)
        film = make_runs(wanted.outputs, outputs, places)
        queue = Queue(outputs, places)
        queue.start()
        page = app.serve(Bench(outputs, places, queue), wanted.port)
        try:
            take(app.address(page), film)
        finally:
            page.close(verbose=False)
            queue.close()


def make_runs(demo: Path, outputs: Path, places: Places) -> str:
    """Fill `outputs`, and return the name of the denoising run."""
    done = demo / "storybook"
    if done.is_dir() and not (outputs / "storybook").exists():
        for job in ("inversion", "cfg"):
            shutil.copytree(done / job, outputs / "storybook" / job)
        run("cropping", EXPERIMENT, outputs)
    elif not (outputs / "storybook").exists():
        run("run", EXPERIMENT, outputs)
    experiment = experiment_of(Form(), places)
    file = outputs / "denoise.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(as_yaml(experiment), encoding="utf-8")
    run("ddpm", file, outputs)
    return experiment["name"]


def run(command: str, file: Path, outputs: Path) -> None:
    if pseudoword([command, str(file), "--outputs", str(outputs)]) != 0:
        raise SystemExit(f"{command} {file} failed")


def take(address: str, film: str) -> None:
    """Take the picture of each tab in each width."""
    runs = {"crop": "storybook", "invert": "storybook", "guidance": "storybook", "denoise": film}
    (HERE / "pictures").mkdir(exist_ok=True)
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width, height in SIZES.items():
            for tab in app.TITLES:
                window = browser.new_page(viewport={"width": width, "height": height})
                query = f"?tab={tab}" + (f"&run={runs[tab]}" if tab in runs else "")
                window.goto(address + query)
                window.wait_for_selector("body[data-studio=ready]")
                if tab in SCENES:
                    SCENES[tab](window)
                settle(window)
                target = HERE / "pictures" / f"studio-{tab}-{width}.jpg"
                tall = window.evaluate(
                    "document.querySelector('#tabs').getBoundingClientRect().bottom"
                )
                shown: Any = {
                    "x": 0,
                    "y": 0,
                    "width": width,
                    "height": min(height, round(tall) + 40),
                }
                save(window.screenshot(clip=shown), target)
                print(target, f"{target.stat().st_size / 1000:.0f} kB", flush=True)
                window.close()
        browser.close()


def _crop(window: Any) -> None:
    """A rectangle that has the keyboard; on a phone the pictures are below the form."""
    first = window.locator(".crop-window").first
    first.wait_for()
    if window.viewport_size["width"] < 800:
        window.locator("#crop-summary").evaluate("(one) => one.scrollIntoView()")
    first.evaluate("(one) => one.focus({preventScroll: true})")


def _invert(window: Any) -> None:
    """On a phone the run is below the form."""
    window.locator("#invert-strip img").first.wait_for()
    if window.viewport_size["width"] < 900:
        window.locator("#invert-view").evaluate("one => one.scrollIntoView()")


def _guidance(window: Any) -> None:
    """At the seventh scale, 1.5, where there is a house and the patches are still whole."""
    window.locator(".gd-picture img[data-scale]").first.wait_for()
    slider = window.get_by_label("Guidance scale", exact=True)
    slider.fill("6")
    window.evaluate("document.activeElement.blur()")
    if window.viewport_size["width"] < 800:
        window.locator("#guidance-viewer").evaluate("(one) => one.scrollIntoView()")


def denoise_scene(window: Any) -> None:
    """Two fifths of the way, where there is noise to be seen, and a picture in it."""
    slider = window.get_by_role("slider", name="Step of the denoising")
    slider.press("Home")
    for _ in range(20):
        slider.press("ArrowRight")
    window.evaluate("document.activeElement.blur()")
    if window.viewport_size["width"] < 800:
        window.locator("#denoise-press").evaluate("(button) => button.scrollIntoView()")


SCENES = {"crop": _crop, "invert": _invert, "guidance": _guidance, "denoise": denoise_scene}
"""What is clicked in a tab before its picture is taken."""


def settle(window: Any) -> None:
    """Wait until every picture in sight is there and nothing moves any more."""
    window.wait_for_timeout(8000)
    window.wait_for_function(
        "[...document.images].filter((i) => i.checkVisibility()"
        " && i.getBoundingClientRect().top < innerHeight).every((i) => i.complete)"
    )
    window.wait_for_timeout(500)


def save(png: bytes, target: Path) -> None:
    """As a JPEG of at most LARGEST bytes."""
    with Image.open(io.BytesIO(png)) as image:
        for quality in (90, 84, 78, 70, 60):
            image.convert("RGB").save(target, quality=quality, optimize=True)
            if target.stat().st_size <= LARGEST:
                return


if __name__ == "__main__":
    main()
