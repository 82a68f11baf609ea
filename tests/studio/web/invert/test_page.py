"""The tab Invert in chromium: from the first click to a word that other programs load."""

import shutil
from pathlib import Path

import pytest

from diffusion.formats import load_embedding
from lab.config import load_experiment
from studio import cli

SETTINGS = """\
train.batch_size=2
train.checkpoint_every=10
objective.pictures=2
objective.every=60
stop.rule=never
previews.prompts=["ab [name]", "cd [name]"]
previews.steps=1
previews.every=150
dtype=fp32
"""
STEPS = 300


@pytest.fixture
def material(studio, draw_noise, tiny_sd_folder):
    """A tiny model and pictures in the folder that the page may read."""
    model, pictures = studio.readable / "model", studio.readable / "noise"
    if not model.exists():
        shutil.copytree(tiny_sd_folder, model)
        shutil.copytree(draw_noise(4, (40, 40)), pictures)
    return model, pictures


def type_into(page, setting, text):
    """Type into a setting's field; a drop-down takes its text with Enter."""
    field = page.locator(f"#invert-{setting}").locator("input, textarea")
    field.fill(str(text))
    field.press("Enter" if field.get_attribute("role") == "listbox" else "Tab")


def opened(page, studio, query=""):
    page.goto(studio.url + query)
    page.get_by_role("tab", name="Invert", exact=True).click()


def unfold(page, title):
    page.get_by_role("button", name=title).click()


def steps_of(page):
    return int(page.locator("#invert-facts b").first.inner_text().split(" of ")[0])


def wait_for(page, condition, seconds=120):
    for _ in range(seconds * 10):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError(page.inner_text("body"))


def test_a_word_from_the_first_click_to_the_file(page, studio, material, tmp_path):
    model, pictures = material
    opened(page, studio)
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("Your word is empty").wait_for()  # a sentence, and nothing begins
    type_into(page, "model", model)
    type_into(page, "data", pictures)
    page.get_by_text("4 pictures, with captions such as “a thing”.").wait_for()
    type_into(page, "word", "noise")
    type_into(page, "num_vectors", "2")
    type_into(page, "train-steps", STEPS)
    unfold(page, "More settings")
    type_into(page, "others", SETTINGS)
    page.get_by_role("button", name="Start", exact=True).click()
    stop = page.get_by_role("button", name="Stop", exact=True)
    kept = studio.outputs / "noise" / "inversion" / "checkpoints"
    studio.wait_until(lambda: any(kept.glob("*.pt")))
    with studio.paused():
        stop.click()
        studio.wait_for_stop()
    page.get_by_text("Stopped").wait_for()
    assert steps_of(page) < STEPS
    page.get_by_role("button", name="Go on", exact=True).click()
    wait_for(page, lambda: "is kept: lowest objective" in page.inner_text("#invert-facts"))
    assert steps_of(page) == STEPS
    strip = page.locator("#invert-strip")
    assert strip.locator(".pw-prompt").all_inner_texts() == ["ab <noise>", "cd <noise>"]
    looks = [f"step {step}" for step in range(0, STEPS + 1, 150)]
    assert strip.locator("figcaption").all_inner_texts()[: len(looks)] == looks
    page.wait_for_function(  # both prompts' 32 px: it is served
        "[...document.querySelectorAll('#invert-strip img')].every(one => one.naturalWidth === 64)"
    )
    assert page.locator("#invert-charts svg").count() == 2
    assert page.locator("#invert-nearest .pw-near").count() == 10

    word = _whole(page, studio)
    learned = studio.outputs / "noise" / "inversion" / "noise.safetensors"
    assert learned.read_bytes() == word.read_bytes()  # stopped and gone on with, to the same bits

    page.locator("#invert-program input").click()
    page.get_by_role("option", name="AUTOMATIC1111, .pt").click()
    wait_for(page, lambda: "noise.pt" in page.inner_text("#invert-download"))
    with page.expect_download() as begun:
        page.locator("#invert-download").click()
    begun.value.save_as(tmp_path / "noise.pt")
    read = load_embedding(tmp_path / "noise.pt")
    assert read.token == "noise" and (read.vectors == load_embedding(word).vectors).all()

    page.get_by_role("button", name="Report").click()
    frame = page.frame_locator("#invert-report iframe")
    frame.get_by_role("heading", name="Curves").wait_for()

    page.get_by_role("button", name="See it across the guidance scale").click()
    prompt = page.get_by_role("tabpanel").filter(visible=True).locator("textarea").first
    wait_for(page, lambda: prompt.input_value() == "ab <noise>")


def _whole(page, studio) -> Path:
    """The word of the same experiment, run in one go under another name."""
    file = studio.outputs / ".studio" / "noise.yaml"
    section = load_experiment(file, [], cli.models(cli.JOBS)).written["inversion"]
    ticket = studio.bench.queue.submit({"name": "whole", "inversion": section}, "in one go")
    wait_for(page, lambda: studio.bench.queue.standing(ticket).status == "done")
    return studio.outputs / "whole" / "inversion" / "noise.safetensors"
