"""The tab Crop in chromium: from the first click to the data set on one's own disk."""

import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from lab.images import read_image

SIZES = {"1 a cat.png": (400, 260), "2 a dog.png": (240, 380), "3 a tent.png": (420, 250)}


@pytest.fixture
def pictures(tmp_path):
    """Files to drop: a dark square on a light ground each."""
    rng = np.random.default_rng(0)
    for name, size in SIZES.items():
        image = Image.new("RGB", size, tuple(int(v) for v in rng.integers(120, 255, 3)))
        x, y = (int(rng.integers(0, side - 90)) for side in size)
        image.paste(tuple(int(v) for v in rng.integers(0, 120, 3)), (x, y, x + 90, y + 90))
        image.save(tmp_path / name)
    return sorted(tmp_path.glob("*.png"))


def begin(page, studio, pictures, name: str) -> None:
    """Drop the pictures and find their crops, after two mistakes."""
    page.goto(f"{studio.url}?tab=crop")
    page.wait_for_selector("body[data-studio=ready]")
    page.locator("#crop-press").click()
    page.get_by_text("Drop some pictures first").wait_for()
    page.locator("#crop-source input").fill("/etc")
    page.locator("#crop-source input").press("Enter")
    page.get_by_text("/etc is outside of the folders").first.wait_for()
    page.set_input_files("#crop-files input[type=file]", pictures)
    page.get_by_text("3 pictures; drop more").wait_for()
    page.locator("#crop-name input, #crop-name textarea").fill(name)
    page.locator("#crop-size input").fill("64")
    page.locator("#crop-press").click()
    page.locator(".crop-card").nth(2).wait_for()
    settled(page)


def card(page, name: str):
    return page.locator(f'.crop-card[data-name="{name}"]')


def settled(page) -> None:
    """Wait until everything that was asked for is cut."""
    page.locator(".state.complete").first.wait_for()
    page.wait_for_function("!document.querySelector('.crop-card.waits, .crop-card.pending')")


def seen(window) -> list[int]:
    """The rectangle that the page tells a screen reader of, in px of the picture."""
    said = re.search(
        r": (\d+) by (\d+) px at (-?\d+), (-?\d+)\.", window.get_attribute("aria-label")
    )
    assert said is not None
    width, height, x, y = map(int, said.groups())
    return [x, y, x + width, y + height]


def cut(studio, run: str, what: str = "box") -> dict[str, list[int]]:
    """The rectangles of a run's crops, or their captions, when nothing is being cut any more."""
    studio.wait_until(lambda: all(one.place < 0 for one in studio.bench.queue.all()))
    try:
        index = (studio.outputs / run / "cropping" / "crops.jsonl").read_text(encoding="utf-8")
    except FileNotFoundError:  # the page asked for something in between
        return {}
    lines = map(json.loads, index.splitlines())
    return {line["source"].rsplit("/", 1)[1]: line[what] for line in lines}


def drag(page, grip, window, by: tuple[float, float]) -> list[int]:
    """Drag the middle of something by so many px of the screen; where the window is then."""
    grip.scroll_into_view_if_needed()
    box = grip.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by[0] / 2, y + by[1] / 2)
    page.mouse.move(x + by[0], y + by[1])
    there = seen(window)
    page.mouse.up()
    return there


def test_from_dropped_pictures_over_corrections_to_the_zip(page, studio, pictures, tmp_path):
    begin(page, studio, pictures, "dropped")
    before = cut(studio, "dropped")
    cat, dog = card(page, "1 a cat.png"), card(page, "2 a dog.png")
    window = cat.locator(".crop-window")
    assert seen(window) == before["1 a cat.png"]
    plane = cat.locator(".crop-plane").bounding_box()
    inwards = 40 if before["1 a cat.png"][0] < 70 else -40
    smaller = drag(page, window.locator(".crop-corner.se"), window, (-60, -60))
    studio.wait_until(lambda: cut(studio, "dropped").get("1 a cat.png") == smaller)
    studio.wait_until(lambda: seen(window) == smaller)
    settled(page)
    moved = drag(page, window.locator(".crop-dot"), window, (inwards, 10))
    assert moved[2] - moved[0] == smaller[2] - smaller[0] < before["1 a cat.png"][2]
    pixels = 400 * 1.024 / plane["width"]  # of the picture for one of the screen
    assert moved[0] - smaller[0] == pytest.approx(inwards * pixels, abs=2)
    caption = dog.get_by_role("textbox", name="Caption of 2 a dog.png")
    caption.fill("a very good dog")
    caption.press("Enter")
    studio.wait_until(lambda: "a very good dog" in cut(studio, "dropped", "caption").values())
    studio.wait_until(lambda: cut(studio, "dropped").get("1 a cat.png") == moved)
    studio.wait_until(lambda: seen(window) == moved)
    settled(page)
    assert cut(studio, "dropped")["3 a tent.png"] == before["3 a tent.png"]
    page.get_by_role("button", name="Write the data set").click()
    with page.expect_download() as download:
        page.get_by_text("Download dropped.zip").click()
    download.value.save_as(tmp_path / "taken.zip")
    with zipfile.ZipFile(tmp_path / "taken.zip") as archive:
        archive.extractall(tmp_path / "taken")
    folder = tmp_path / "taken" / "dropped"
    source, (x0, y0, x1, y1) = read_image(pictures[0]), moved
    expected = source.resize(
        (64, 64), Image.Resampling.LANCZOS, box=(x0, y0, x1, y1), reducing_gap=3.0
    )
    np.testing.assert_array_equal(read_image(folder / "1 a cat.png"), expected)
    assert (folder / "2 a dog.txt").read_text() == "a very good dog\n"
    lines = map(json.loads, (folder / "metadata.jsonl").read_text().splitlines())
    assert {line["file_name"]: line["text"] for line in lines}["2 a dog.png"] == "a very good dog"
    page.get_by_role("button", name="Learn a word from these").click()
    page.get_by_role("tab", name="Invert", selected=True).wait_for()
    page.wait_for_function(
        "[...document.querySelectorAll('input')].some(one => one.value.includes('dropped'))"
    )


def test_with_the_keyboard_alone_and_found_again_in_another_window(page, studio, pictures):
    begin(page, studio, pictures, "keys")
    before = cut(studio, "keys")
    dog = card(page, "2 a dog.png")
    window = dog.locator(".crop-window")
    for _ in range(60):
        page.keyboard.press("Tab")
        if window.evaluate("node => node === document.activeElement"):
            break
    assert window.evaluate("node => node === document.activeElement")
    ring = window.evaluate("node => getComputedStyle(node).outlineStyle")
    assert ring != "none"
    way = "ArrowUp" if before["2 a dog.png"][1] > 60 else "ArrowDown"
    for key in (way, way, "Shift+ArrowLeft", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    assert dog.get_by_role("button", name="Apply").is_visible()
    assert cut(studio, "keys") == before, "nothing is done before Enter"
    page.keyboard.press("Escape")
    assert seen(window) == before["2 a dog.png"]
    page.keyboard.press("+")
    assert dog.locator(".crop-window").nth(1).evaluate("node => node === document.activeElement")
    assert dog.get_by_role("textbox", name="Caption of tile 2 of 2 a dog.png").is_visible()
    page.keyboard.press("Delete")
    assert window.count() == 1 and seen(window) == before["2 a dog.png"]
    page.keyboard.press("Escape")
    for key in (way, "Shift+ArrowLeft"):
        page.keyboard.press(key)
    moved = seen(window)
    page.keyboard.press("Enter")
    assert window.evaluate("node => node === document.activeElement")
    other = page.context.new_page()
    other.goto(page.url)
    other.locator(".crop-card").nth(2).wait_for()
    studio.wait_until(lambda: cut(studio, "keys").get("2 a dog.png") == moved)
    assert moved != before["2 a dog.png"]
    settled(other)
    settled(page)
    studio.wait_until(lambda: seen(card(other, "2 a dog.png").locator(".crop-window")) == moved)
    select = dog.get_by_role("combobox", name="How 2 a dog.png is cut")
    select.focus()
    select.select_option("drop")
    dog.get_by_text("left out").wait_for()
    studio.wait_until(lambda: set(cut(studio, "keys")) == {"1 a cat.png", "3 a tent.png"})
    settled(page)
