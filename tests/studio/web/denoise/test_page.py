"""The tab Denoise in chromium, from the first click to a downloaded film."""

import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import storybook
from lab.run import Run
from lab.video import read_video

GAP = 6
PATIENCE = 200_000  # ms, for a process that imports torch on a busy machine
SHOWN = "#denoise-frames [data-part=grid]"
READ = """canvas => {
  const side = canvas.width, factor = side / 32;
  const data = canvas.getContext("2d").getImageData(0, 0, side, side).data;
  const read = [];
  let whole = Number.isInteger(factor) && canvas.height === side;
  for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) for (let c = 0; c < 3; c++) {
    const corner = ((y - y % factor) * side + (x - x % factor)) * 4 + c;
    const here = data[(y * side + x) * 4 + c];
    whole = whole && here === data[corner];
    if (x % factor === 0 && y % factor === 0) read.push(here);
  }
  return [whole, read];
}"""
"""The picture of 32 px on a canvas, and whether each of its pixels is one square of one colour."""


@pytest.fixture
def tab(page, studio):
    return opened(page, studio)


def opened(page, studio):
    page.goto(studio.url)
    page.get_by_role("tab", name="Denoise", exact=True).click()
    return page


def choose(page, **numbers):
    for label, value in numbers.items():
        box = page.get_by_label(label, exact=True)
        box.fill(str(value))
        box.press("Tab")


def press(page):
    button = page.locator("#denoise-press")
    button.focus()
    button.press("Enter")


def name_of(studio):
    return studio.bench.queue.all()[-1].name


def canvas(page, row, part):
    """The pixels of the picture on a canvas, [32, 32, 3]."""
    found = page.locator(f"{SHOWN} canvas[data-row='{row}'][data-part='{part}']")
    whole, pixels = found.evaluate(READ)
    assert whole
    return np.array(pixels, np.uint8).reshape(32, 32, 3)


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_from_the_first_click_to_a_downloaded_film(tab, studio, tmp_path):
    choose(tab, Steps=3, Pictures=1)
    press(tab)
    tab.locator(".saved a.file").first.wait_for(timeout=PATIENCE)
    folder = studio.outputs / name_of(studio) / "ddpm"
    reels = [folder / "film", folder / "film" / "unguided"]

    slider = tab.get_by_role("slider", name="Step of the denoising")
    slider.press("Home")
    for step in range(4):
        tab.wait_for_function(f"document.querySelector('{SHOWN}').dataset.shown === '{step}'")
        for row, reel in enumerate(reels):
            frame = pixels_of(reel / f"frames/{step:04}.png")
            np.testing.assert_array_equal(canvas(tab, row, 0), frame[:, :32])
            np.testing.assert_array_equal(canvas(tab, row, 1), frame[:, 32 + GAP :])
        assert f"Step {step} of 3" in tab.locator("#denoise-frames output").inner_text()
        slider.press("ArrowRight")

    with tab.expect_download() as waiting:
        tab.get_by_role("link", name="GIF, led").press("Enter")
    assert waiting.value.suggested_filename == f"{name_of(studio)}.gif"
    waiting.value.save_as(tmp_path / "film.gif")
    frames = [pixels_of(reels[0] / f"frames/{step:04}.png") for step in range(4)]
    told = []
    for shown in read_video(tmp_path / "film.gif"):  # which has 256 colours a frame
        factor = shown.shape[0] // 32
        small = shown[::factor, ::factor].astype(int)
        told.append(int(np.argmin([np.abs(small - frame).mean() for frame in frames])))
    assert told == [0, 1, 2, 3] + [3] * round(1.5 * 20)  # a frame for each step, the last one held
    with tab.expect_download() as waiting:
        tab.get_by_role("link", name="Save the picture of seed 7").first.click()
    assert waiting.value.path().read_bytes() == (reels[0] / "pictures/7.png").read_bytes()


def test_a_model_that_was_trained_here_is_chosen_and_draws(page, studio):
    bundled = Path(storybook.__file__).parent / "drawn" / "faces"
    shutil.copytree(bundled, studio.outputs / "mine" / "ddpm" / "model")
    tab = opened(page, studio)
    choose(tab, Steps=1, Pictures=1)
    tab.get_by_label("Model", exact=True).click()
    tab.get_by_role("option", name="mine (trained here)").click()
    press(tab)
    tab.get_by_role("link", name="GIF, led").wait_for(timeout=PATIENCE)
    assert name_of(studio).startswith("denoise-mine-")
    tab.goto(f"{studio.url}?tab=denoise&run={name_of(studio)}")
    tab.get_by_role("link", name="GIF, led").wait_for()  # it is found again


def test_a_training_is_queued_with_one_button_and_a_mistake_is_not(tab, studio):
    tab.get_by_text("Train a model", exact=True).click()
    tab.get_by_role("button", name="Train", exact=True).click()
    stop = tab.get_by_role("button", name="Stop", exact=True)
    stop.wait_for()
    assert studio.bench.queue.all()[-1].what == "train a model on drawn:prints"
    stop.click()
    tab.get_by_text("Stopped").wait_for()
    before = len(studio.bench.queue.all())
    tab.get_by_label("Seed", exact=True).fill("seven")
    press(tab)
    tab.get_by_text("The seed should be a whole number").wait_for()
    assert "Traceback" not in tab.content()
    assert len(studio.bench.queue.all()) == before


def test_stop_stops_within_a_step_and_what_was_made_stays_to_be_seen(tab, studio):
    choose(tab, Steps=200, Pictures=16)
    press(tab)
    stop = tab.get_by_role("button", name="Stop", exact=True)
    tab.wait_for_function(f"Number(document.querySelector('{SHOWN}').dataset.shown) > 2")
    folder = studio.outputs / name_of(studio) / "ddpm"
    with studio.paused():
        stop.click()
        studio.wait_for_stop()
        seen = len(list((folder / "film/frames").glob("[0-9]*.png")))
    tab.get_by_text("Stopped").wait_for()
    made = len(list((folder / "film/frames").glob("[0-9]*.png")))
    assert made < 200 and made - seen <= 1
    assert Run(studio.outputs, name_of(studio), "ddpm").read_manifest()["status"] == "interrupted"
    time.sleep(0.5)
    assert len(list((folder / "film/frames").glob("[0-9]*.png"))) == made
    said = tab.locator("#denoise-frames output").inner_text()
    match = re.match(r"Step (\d+) of 200", said)
    assert match and int(match[1]) <= made - 1
