"""Experiment files, their overrides, and the help about them."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from lab.config import explain, json_schema, load_experiment
from lab.errors import UserError


def test_sections_come_in_running_order_with_their_defaults(load, models):
    experiment = load("cfg:\n  seed: 3\ncropping:\n  source: pictures\n")
    assert list(experiment.sections) == ["cropping", "cfg"]
    assert experiment.name == "x"
    assert experiment.sections["cfg"] == models["cfg"](seed=3)
    assert experiment.resolved["cropping"] == {"source": "pictures", "rate": 0.001, "share": 0.5}
    assert list(experiment.resolved) == ["name", "cropping", "cfg"]


def test_what_is_resolved_loads_again_as_the_same(load):
    first = load("name: a\ncfg: {guidance_scales: {from: 0, to: 2}, words: [{text: w}]}")
    assert load(json.dumps(first.resolved)).sections == first.sections


def test_an_empty_section_means_all_defaults(load, models):
    assert load("cfg:\n").sections == {"cfg": models["cfg"]()}


def test_a_section_cannot_be_changed(models):
    with pytest.raises(ValidationError):
        models["cfg"]().seed = 1  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("5e-4", 0.0005), ("1", 1.0), (".5", 0.5), ("1e3", 1000.0), ("1_000", 1000.0)],
)
def test_numbers_are_read_as_yaml_1_2(load, written, meant):
    assert load(f"cropping: {{source: a, rate: {written}}}").sections["cropping"].rate == meant


@pytest.mark.parametrize("written", ["no", "on", "2024-05-01", "12:30:45", "'5'", "y"])
def test_texts_stay_texts(load, written):
    section = load(f"cropping:\n  source: {written}\n").sections["cropping"]
    assert section.source == written.strip("'")


def test_a_list_in_the_file_may_be_a_tuple_in_the_model(load):
    assert load("cfg: {size: [64, 32]}").sections["cfg"].size == (64, 32)


def test_a_byte_order_mark_and_windows_newlines_do_no_harm(load):
    assert load("\ufeffcfg:\r\n  seed: 4\r\n").sections["cfg"].seed == 4


def test_anchors_are_understood(load):
    experiment = load("cropping: &c {source: a}\ncfg: {video: &v {fps: 3}, words: []}\n")
    assert experiment.sections["cfg"].video.fps == 3


# --- overrides


@pytest.mark.parametrize(
    ("override", "get", "value"),
    [
        ("cfg.seed=7", lambda c: c.seed, 7),
        ("cfg.video.fps=3", lambda c: c.video.fps, 3),
        ("cfg.guidance_scales=[0,1,7.5]", lambda c: c.guidance_scales, [0, 1, 7.5]),
        ("cfg.guidance_scales.to=20", lambda c: c.guidance_scales.to, 20),
        ("cfg.guidance_scales={from: 1, to: 2}", lambda c: c.guidance_scales.start, 1),
        ("cfg.prompt=a cat: asleep", lambda c: c.prompt, "a cat: asleep"),
        ("cfg.prompt=[filewords] by [name]", lambda c: c.prompt, "[filewords] by [name]"),
        ("cfg.prompt=house #2", lambda c: c.prompt, "house #2"),
        ("cfg.prompt=- dash", lambda c: c.prompt, "- dash"),
        ("cfg.prompt=a=b", lambda c: c.prompt, "a=b"),
        ("cfg.prompt=", lambda c: c.prompt, ""),
        ("cfg.prompt='5'", lambda c: c.prompt, "5"),
        ("cfg.source=../a/b c", lambda c: c.source, "../a/b c"),
        ("cfg.source=null", lambda c: c.source, None),
        ("cfg.words[1].weight=9", lambda c: c.words[1].weight, 9),
    ],
)
def test_an_override_replaces_what_the_file_says(load, override, get, value):
    text = "cfg:\n  seed: 1\n  guidance_scales: {from: 0, to: 1}\n  words: [{text: a}, {text: b}]\n"
    experiment = load(text, override)
    assert get(experiment.sections["cfg"]) == value
    assert experiment.overrides == (override,)


def test_an_override_can_make_a_section_and_name_the_experiment(load):
    experiment = load("cfg:\n", "cropping.source=here", "name=other")
    assert experiment.sections["cropping"].source == "here"
    assert experiment.name == "other"


def test_the_last_of_two_overrides_holds(load):
    assert load("cfg:", "cfg.seed=1", "cfg.seed=2").sections["cfg"].seed == 2


def test_an_override_mends_a_mistake_in_the_file(load):
    assert load("cfg: {seed: abc}", "cfg.seed=1").sections["cfg"].seed == 1


# --- files


def test_a_missing_file_is_said_with_the_one_that_was_meant(tmp_path, monkeypatch, models):
    monkeypatch.chdir(tmp_path)
    Path("experiments").mkdir()
    Path("experiments/storybook.yaml").write_text("cfg:")
    for typed in ("experiments/stroybook.yaml", "storybook", "storybook.yml"):
        with pytest.raises(UserError, match=r"did you mean experiments/storybook.yaml\?"):
            load_experiment(typed, [], models)
    with pytest.raises(UserError, match="the experiment file comes first"):
        load_experiment("cfg.seed=1", [], models)


def test_a_folder_and_a_picture_are_no_experiments(tmp_path, models):
    with pytest.raises(UserError, match="is a folder"):
        load_experiment(tmp_path, [], models)
    picture = tmp_path / "p.yaml"
    picture.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UserError, match="UTF-8"):
        load_experiment(picture, [], models)


# --- help


def test_explain_names_every_setting_with_kind_default_and_meaning(models):
    text = explain(models["cfg"], "cfg")
    assert "cfg.seed  (a whole number of at least 0; default 0)\n    Decides the noise." in text
    assert "cfg.guidance_scales.from  (a number; required)\n    The first scale." in text
    assert "cfg.video.fps  (a whole number above 0; default 14)" in text
    assert "cfg.words[i].weight" in text
    assert text.startswith("cfg: One prompt at many scales.\n")


def test_explain_goes_as_deep_as_asked(models):
    assert explain(models["cfg"], "cfg.video.fps").startswith("cfg.video.fps  (")
    assert "cfg.seed" not in explain(models["cfg"], "cfg.video")
    with pytest.raises(UserError, match=r"did you mean cfg.video\?"):
        explain(models["cfg"], "cfg.vidoe")
    with pytest.raises(UserError, match="single value"):
        explain(models["cfg"], "cfg.seed.deeper")


def test_the_schema_has_each_section_and_refuses_others(models):
    schema = json_schema(models)
    assert list(schema["properties"]) == ["name", "cropping", "cfg"]
    assert schema["additionalProperties"] is False
    sweep = schema["$defs"]["Sweep"]
    assert sweep["properties"]["seed"]["description"] == "Decides the noise."
    assert set(schema["$defs"]["Range"]["properties"]) == {"from", "to", "step"}
