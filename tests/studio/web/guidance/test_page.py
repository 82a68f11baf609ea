"""The tab Guidance in a real browser, from the first click to a film that was downloaded."""

import json
import re
import shutil
from decimal import Decimal

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cfg.cells import file_stem
from lab.run import write_json
from lab.video import read_video

IMAGE = ".gd-stage:nth-of-type({}) .gd-picture img"
MOVED = """(range, place) => {
  range.value = place;
  range.dispatchEvent(new Event("input", {bubbles: true}));
  return document.querySelector(".gd-picture img").dataset.scale;
}"""
SCALES = [Decimal(k) / 4 for k in range(41)]


@pytest.fixture(scope="module")
def foreign(studio):
    """A folder of frames that were drawn elsewhere: two seeds, of which the second has every fourth
    scale, and the first seed by another rule."""

    def picture(number, scale):
        rng = np.random.default_rng(int(scale * 100) + 7000 * number)
        return Image.fromarray(rng.integers(0, 255, (16, 16, 3)).astype(np.uint8))

    frames = studio.outputs / "by hand" / "cfg" / "frames"
    lines = ((1, "plain", 1), (2, "plain", 4), (1, "apg", 1))
    for number, (seed, rule, every) in enumerate(lines, 1):
        folder = frames / f"a-bird-{number}"
        folder.mkdir(parents=True)
        text = PngInfo()
        about = {"prompt": "a bird", "seed": seed, "rule": {"name": rule}, "steps": 2}
        text.add_itxt("parameters", json.dumps(about))
        for scale in SCALES[::every]:
            picture(number, scale).save(folder / f"{file_stem(scale)}.png", pnginfo=text)
    _measured(frames.parent)
    return frames


def _measured(folder):
    """What a finished sweep says of them: for the first seed, that something turns at 4.125."""
    lines = [{"prompt": "a bird", "seed": seed, "rule": {"name": "plain"}, "steps": 2}
             for seed in (1, 2)]  # fmt: skip
    turn = {"at": 4.125, "low": 4.0, "high": 4.25, "factor": 5.0}
    group = {
        "prompt": "a bird", "rule": {"name": "plain"}, "steps": 2, "seeds": [1, 2],
        "transitions_of_each_seed": [[turn], []], "shared_transitions": [],
    }  # fmt: skip
    frames = [{"file": f"frames/a-bird-{k + 1}/000.00.png", "line": k} for k in (0, 1)]
    write_json(folder / "sweep.json", {"lines": lines, "frames": frames})
    write_json(folder / "analysis.json", {"groups": [group]})
    for line in (0, 1):
        for scale in SCALES:
            row = {"line": line, "guidance_scale": float(scale), "distance_seen": 1 + float(scale)}
            with (folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")


def opened(page, studio, name):
    page.goto(studio.url)
    page.wait_for_selector("body[data-studio=ready]")
    page.get_by_role("tab", name="Guidance").click()
    page.locator("#guidance-open input").click()
    page.get_by_role("option", name=name, exact=True).click()
    page.wait_for_selector(f"{IMAGE.format(1)}[data-scale]")


def bytes_of(page, number):
    """What the browser has for a picture that is on the page, and the scale that it says."""
    image = page.locator(IMAGE.format(number))
    told = "async image => [...new Uint8Array(await (await fetch(image.src)).arrayBuffer())]"
    return bytes(image.evaluate(told)), Decimal(image.get_attribute("data-scale"))


def at(page, scale, number=1):
    page.wait_for_selector(f'{IMAGE.format(number)}[data-scale="{scale}"]')


def test_the_slider_shows_the_file_of_its_scale_at_once(page, studio, foreign):
    opened(page, studio, "by hand")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    slider = page.get_by_label("Guidance scale", exact=True)
    slider.focus()
    page.keyboard.press("Home")
    for scale in ("0", "0.25", "0.5", "0.75"):
        at(page, scale)
        shown, said = bytes_of(page, 1)
        assert said == Decimal(scale)
        assert shown == (foreign / "a-bird-1" / f"{file_stem(said)}.png").read_bytes()
        assert page.locator(".gd-number").inner_text() == scale
        page.keyboard.press("ArrowRight")
    slider.fill("28")
    at(page, "7")
    slider.fill("0")
    at(page, "0")
    assert slider.evaluate(MOVED, 28) == "7"  # before anything else can happen in the page
    page.get_by_role("button", name="4.13").click()  # a transition
    at(page, "4.25")
    cursor = page.locator(".gd-chart .cursor")
    thumb = page.get_by_label("Guidance scale", exact=True).bounding_box()
    share = (cursor.bounding_box()["x"] - thumb["x"] - 11) / (thumb["width"] - 22)
    assert share == pytest.approx(17 / 40, abs=0.01)
    assert not [url for url in asked if "/queue" in url or "/run" in url]  # python is not asked


def test_beside_it_is_the_same_scale_of_another_line_and_the_nearest_where_none_is(
    page, studio, foreign
):
    opened(page, studio, "by hand")
    assert not page.locator(IMAGE.format(2)).is_visible()
    page.get_by_role("button", name="Compare").click()
    slider = page.get_by_label("Guidance scale", exact=True)
    slider.fill("12")
    at(page, "3", 2)  # at first another rule, with the same seed
    assert bytes_of(page, 2) == ((foreign / "a-bird-3" / "003.00.png").read_bytes(), 3)
    assert page.locator(IMAGE.format(2)).get_attribute("alt").endswith("3, apg, seed 1")
    assert page.locator(IMAGE.format(1)).get_attribute("alt").endswith("3, plain, seed 1")
    page.get_by_label("What is shown beside it").select_option(label="plain, seed 2")
    page.wait_for_selector(f'{IMAGE.format(2)}[alt$="plain, seed 2"]')
    assert bytes_of(page, 2) == ((foreign / "a-bird-2" / "003.00.png").read_bytes(), 3)
    assert bytes_of(page, 1)[1] == 3
    slider.fill("13")
    at(page, "3.25")
    assert bytes_of(page, 2)[1] == 3  # 3.25 of seed 2 is not there
    assert "3.25 is not drawn" in page.locator(".gd-note").inner_text()
    page.set_viewport_size({"width": 390, "height": 844})
    boxes = [page.locator(IMAGE.format(number)).bounding_box() for number in (1, 2)]
    assert boxes[1]["y"] > boxes[0]["y"] + boxes[0]["height"]
    assert max(box["x"] + box["width"] for box in boxes) <= 390


def test_from_the_first_click_to_the_film(page, studio, tiny_sd_folder):
    shutil.copytree(tiny_sd_folder, studio.readable / "tiny")
    page.goto(studio.url)
    page.wait_for_selector("body[data-studio=ready]")
    page.get_by_role("tab", name="Guidance").click()
    draw = page.get_by_role("button", name="Draw the scales")
    draw.click()
    page.get_by_text("Write a prompt").wait_for()
    page.get_by_label("Prompt", exact=True).fill("a cat")
    page.get_by_label("to", exact=True).fill("2")
    page.get_by_role("button", name="More settings").click()
    page.get_by_label("Model").fill(str(studio.readable / "tiny"))
    page.get_by_label("Steps", exact=True).fill("2")
    page.get_by_label("Batch size").fill("4")
    draw.click()
    link = page.get_by_role("link", name="Film (mp4)")
    link.wait_for()
    with page.expect_download() as film:
        link.click()
    assert film.value.suggested_filename == "a-cat.mp4"
    assert len(list(read_video(film.value.path()))) == 5
    with page.expect_download() as picture:
        page.get_by_role("link", name="Save picture").click()
    with Image.open(picture.value.path()) as image:
        assert json.loads(image.info["parameters"])["prompt"] == "a cat"
        assert image.info["guidance_scale"] == page.locator(".gd-number").inner_text()
    (line,) = (studio.outputs / "a-cat" / "cfg" / "frames").iterdir()
    lost = (line / "001.50.png").read_bytes()
    (line / "001.50.png").unlink()  # what a sweep that was stopped has not drawn
    page.wait_for_url("**run=a-cat**")
    page.reload()
    page.wait_for_selector(f"{IMAGE.format(1)}[data-scale]")
    page.get_by_label("Guidance scale", exact=True).fill("3")
    page.wait_for_selector(f'{IMAGE.format(1)}[data-scale="1.5"]')
    assert bytes_of(page, 1) == (lost, Decimal("1.5"))
    said = page.locator(".gd-note").inner_text()
    assert not re.search("not drawn|being drawn", said)
