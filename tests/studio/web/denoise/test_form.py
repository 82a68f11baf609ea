"""The tab Denoise without a browser: forms become experiments, run folders become what is shown."""

import json
import math
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import DDPMPipeline
from PIL import Image

from ddpm import job
from ddpm.config import Config, Model, Schedule
from ddpm.models import new_scheduler, new_unet
from lab.config import load_experiment
from lab.errors import UserError
from lab.run import Run
from studio.cli import JOBS, models
from studio.web.denoise.form import (
    BUNDLED,
    Form,
    Training,
    experiment_of,
    fill,
    hex_of,
    models_of,
    training_of,
)
from studio.web.denoise.page import saved_html
from studio.web.denoise.read import EMPTY, NO_FILM, frames_value, read_denoised
from studio.web.experiments import checked
from studio.web.places import Places

PLAIN = Form(colour_strength=0, text_strength=0)


@pytest.fixture
def places(tmp_path) -> Places:
    for name in ("outputs", "pictures", "elsewhere"):
        (tmp_path / name).mkdir()
    return Places([tmp_path / "pictures"], tmp_path / "outputs")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    unet = new_unet(Model(channels=(4, 8)), 8, seed=0)
    DDPMPipeline(unet, new_scheduler(Schedule(timesteps=10))).save_pretrained(folder)
    return folder


# --- forms


def test_a_form_is_an_experiment_that_the_terminal_reads(places, tmp_path):
    for form in (Form(), PLAIN, Form(sampler="dpm++", weight="constant", pictures=1.0, steps="3")):
        told = experiment_of(form, places)
        read = checked(tmp_path / "x.yaml", told, models(JOBS))
        assert isinstance(read.sections["ddpm"], Config) and read.name == told["name"]
        places.check(told)
    read = checked(tmp_path / "x.yaml", training_of(Training(), places), models(JOBS))
    assert read.resolved["ddpm"]["data"]["source"] == "drawn:prints"


def test_what_was_told_fills_the_form_again(places, tmp_path):
    for form in (Form(), Form(model="drawn:faces", seed="3", weight="picture", steps=9)):
        told = experiment_of(form, places)
        resolved = checked(tmp_path / "x.yaml", told, models(JOBS)).resolved
        assert experiment_of(fill(told, tmp_path), places) == told
        assert experiment_of(fill(resolved, tmp_path), places) == told


def test_the_terminals_own_experiments_fill_the_form_too(places, tmp_path):
    files = (Path(__file__).parents[4] / "experiments").glob("*.yaml")
    filled = 0
    for file in files:
        told = load_experiment(file, [], models(JOBS)).resolved
        if "ddpm" in told:
            form = fill(told, tmp_path)
            experiment_of(replace(form, model="drawn"), places)
            filled += 1
    assert filled > 10


def test_equal_forms_have_one_folder_and_others_another(places):
    name = experiment_of(Form(), places)["name"]
    assert experiment_of(Form(colour="rgba(48, 96.2, 192, 1)"), places)["name"] == name
    others = [Form(seed="8"), Form(text="a face"), Form(steps=49), Form(text_strength=0.31)]
    assert name not in {experiment_of(form, places)["name"] for form in others}


def test_a_strength_of_zero_is_no_wish(places):
    assert "guide" not in experiment_of(PLAIN, places)["ddpm"]["film"]
    assert (
        "guide"
        not in experiment_of(replace(PLAIN, text_strength=1, text=" "), places)["ddpm"]["film"]
    )
    one = experiment_of(replace(PLAIN, text_strength=1), places)["ddpm"]["film"]["guide"]
    assert [loss["target"] for loss in one["losses"]] == ["a red flower"]


@pytest.mark.parametrize(
    ("colour", "hexadecimal"),
    [("#C03020", "#c03020"), ("teal", "#008080"), ("rgb(1, 2, 3)", "#010203"),
     ("rgba(254.7, 0, 0, 0.5)", "#ff0000"), ("hsl(0, 100%, 50%)", "#ff0000")],
)  # fmt: skip
def test_colours_are_read_however_they_are_written(colour, hexadecimal):
    assert hex_of(colour) == hexadecimal


WRONG = [
    *[("colour", bad, "is no colour") for bad in
      ("blueish", "", None, "rgb(1,2)", "rgba(1..2,3,4,5)", "rgb(300,0,0)", 7, "#12", "x" * 500)],
    *[(field, bad, "strength should be a number from 0 on")
      for field in ("colour_strength", "text_strength")
      for bad in (math.nan, -0.1, math.inf, "much", None, 2000)],
    *[("seed", bad, "seed should be a whole number") for bad in
      ("seven", "", None, "-1", "1.5", "9" * 40, "٣", "1e3")],
    *[("pictures", bad, "Pictures should be a whole number from 1 to 64") for bad in
      (0, -1, 65, 1.5, math.nan, None, "four", math.inf)],
    *[("steps", bad, "Steps should be a whole number from 1 to 9,999") for bad in
      (0, -5, 10_000, 2.5, math.nan, None, "many")],
    ("text", "so " * 200, "300 are the most"),
    ("sampler", "euler", "sampler should be one of"),
    ("sampler", None, "sampler should be one of"),
    ("weight", "heavy", "weight should be one of"),
    ("model", "", "choose a model"),
    ("model", None, "choose a model"),
    ("model", "nowhere/at/all", "nowhere/at/all"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "bad", "sentence"), WRONG)
def test_what_is_wrong_is_said_in_a_sentence(field, bad, sentence, places):
    with pytest.raises(UserError, match=sentence) as said:
        experiment_of(replace(Form(), **{field: bad}), places)
    assert len(str(said.value)) < 400


@pytest.mark.parametrize(
    ("training", "sentence"),
    [(Training(steps=0), "whole number"), (Training(family="dragons"), "the family should be"),
     (Training(folder="/etc"), "outside of the folders"),
     (Training(folder="../.."), "outside of the folders")],
)  # fmt: skip
def test_a_training_that_is_wrong_is_refused(training, sentence, places):
    with pytest.raises(UserError, match=sentence):
        training_of(training, places)


def test_models_outside_are_refused_whatever_leads_there(places, pipeline, tmp_path):
    inside = tmp_path / "pictures"
    (inside / "link").symlink_to(pipeline)
    (inside / "half").mkdir()
    (inside / "half" / "model").symlink_to(pipeline)
    for path in (pipeline, inside / "link", inside / "half", f"{inside}/../elsewhere", "/etc"):
        with pytest.raises(UserError, match="outside of the folders"):
            experiment_of(Form(model=str(path)), places)
    for path in (pipeline, "../../etc/clip"):
        with pytest.raises(UserError, match=r"outside of the folders|does not exist"):
            experiment_of(Form(clip=str(path)), places)
        told = experiment_of(Form(), places)
        told["ddpm"]["film"]["guide"]["losses"][1]["clip"] = str(path)
        with pytest.raises(UserError, match=r"outside of the folders|does not exist"):
            places.check(told)
    with pytest.raises(UserError, match="no unconditional model"):
        experiment_of(Form(model=str(inside)), places)


def test_models_that_were_trained_can_be_chosen(places, pipeline, tmp_path):
    outputs = tmp_path / "outputs"
    assert models_of(outputs) == [(label, name) for name, label in BUNDLED.items()]
    model = outputs / "mine" / "ddpm" / "model"
    model.mkdir(parents=True)
    (model / "model_index.json").write_text((pipeline / "model_index.json").read_text())
    label, value = models_of(outputs)[-1]
    assert label.startswith("mine")
    told = experiment_of(Form(model=value), places)
    assert told["ddpm"]["model"]["pretrained"] == str(model)
    assert told["name"].startswith("denoise-mine-")
    for form in (
        Form(folder=str(outputs / "mine")),
        fill({"name": "mine", "ddpm": {"train": {"steps": 1}}}, outputs),
    ):
        assert experiment_of(form, places)["ddpm"]["model"]["pretrained"] == str(model)


# --- run folders


def done(told, outputs, upto=None) -> Path:
    config = Config.model_validate_json(json.dumps(told["ddpm"]))
    record = {"configuration": {"ddpm": config.model_dump(mode="json")}}
    with suppress(KeyboardInterrupt), Run(outputs, told["name"], "ddpm", record) as run:
        for progress in job.run(config, run):
            if (progress.stage, progress.done) == ("filming", upto):
                raise KeyboardInterrupt
    return run.folder


def told_of(pipeline, **fields):
    form = Form(**({"steps": 4, "pictures": 2, "text_strength": 0} | fields))
    told = experiment_of(form, Places([pipeline], pipeline))
    told["ddpm"]["model"]["pretrained"] = str(pipeline)
    return told


@pytest.fixture(scope="module")
def led(pipeline, tmp_path_factory):
    told = told_of(pipeline)
    folder = done(told, tmp_path_factory.mktemp("led"))
    return read_denoised(told["name"], folder)


def test_step_k_is_the_file_of_step_k(led):
    assert [frame.step for frame in led.frames] == [0, 1, 2, 3, 4]
    for k, frame in enumerate(led.frames):
        assert [file.name for file in frame.files] == [f"{k:04}.png"] * 2
        assert [file.parts[-3] for file in frame.files] == ["film", "unguided"]
        with Image.open(frame.files[0]) as image:
            assert image.info["step"] == str(k)
    value = frames_value(led, live=False)
    assert value["total"] == len(value["frames"]) == 5 and value["parts"] == 2
    for frame, shown in zip(led.frames, value["frames"], strict=True):
        for file, address in zip(frame.files, shown["pictures"], strict=True):
            assert address.startswith(f"/gradio_api/file={file}?")
    assert value["rows"] == ["Led to #3060c0", "Not led, from the same noise"]


def test_what_can_be_saved_is_there_under_a_name_that_says_what_it_is(led):
    page = saved_html(led)
    assert page.count('class="file"') == 2 and page.count('class="picture"') == 4
    assert f'download="{led.name}.gif"' in page and f'download="{led.name}-not-led.gif"' in page


def test_strength_zero_shows_bitwise_the_unguided_pictures(led, pipeline, tmp_path):
    told = told_of(pipeline, colour_strength=0)
    plain = read_denoised(told["name"], done(told, tmp_path))
    assert [frame.files[0].read_bytes() for frame in plain.frames] == [
        frame.files[1].read_bytes() for frame in led.frames
    ]
    assert frames_value(plain, False)["rows"] == [""]
    first, last = led.frames[0].files, led.frames[-1].files
    assert first[0].read_bytes() != first[1].read_bytes()  # what the model sees is led at once
    assert last[0].read_bytes() != last[1].read_bytes()


def test_what_is_stopped_shows_the_steps_so_far(pipeline, tmp_path):
    told = told_of(pipeline)
    folder = done(told, tmp_path, upto=2)
    shown = read_denoised(told["name"], folder)
    assert [frame.step for frame in shown.frames] == [0, 1, 2] and not shown.films
    assert frames_value(shown, live=True)["total"] == 5
    assert saved_html(shown) == ""
    again = read_denoised(told["name"], done(told, tmp_path))
    assert len(again.frames) == 5 and again.key != shown.key


def test_what_is_no_frame_is_not_shown(pipeline, tmp_path):
    told = told_of(pipeline, colour_strength=0)
    folder = done(told, tmp_path)
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "film/frames/0002.png").unlink()
    (folder / "film/frames/0002.png").symlink_to(tmp_path / "secret.txt")
    Image.new("RGB", (4, 4)).save(folder / "film/frames/0003.png")
    assert len(read_denoised(told["name"], folder).frames) == 2


def test_where_there_is_nothing_that_is_said(tmp_path):
    nothing = read_denoised("none", tmp_path / "none" / "ddpm")
    assert frames_value(None, False)["empty"] == EMPTY
    assert frames_value(nothing, False)["empty"] == NO_FILM
    assert frames_value(nothing, True)["frames"] == []


def test_nothing_that_a_run_says_becomes_markup(led, tmp_path):
    odd = replace(led, name='x"><script>', led_by=("<b>",))
    page = saved_html(odd)
    assert "<script>" not in page and 'x"' not in page


def test_a_led_picture_is_led(led):
    """The colour's distance falls from the unled film to the led one."""
    ends = [torch.tensor(list(Image.open(file).convert("RGB").getdata())).float()
            for file in led.frames[-1].files]  # fmt: skip
    wanted = torch.tensor([0x30, 0x60, 0xC0]).float()
    near, far = ((end - wanted).abs().mean() for end in ends)
    assert near < far
