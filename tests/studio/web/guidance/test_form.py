"""The tab Guidance without a browser: what a form means, what a folder says, what is refused."""

import dataclasses
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from cfg.cells import lines_of
from cfg.config import Config
from lab.errors import UserError
from lab.run import write_json
from studio.web.guidance import page as guidance
from studio.web.guidance.form import (
    MOST_PICTURES,
    Form,
    counted,
    experiment_of,
    forecast,
    seeds_of,
)
from studio.web.guidance.runs import pace, place_for
from studio.web.guidance.words import Word, newest
from studio.web.places import Places


def form(**said):
    return Form(**{"prompt": "a bird", **said})


def config_of(section):
    return Config.model_validate_json(json.dumps(section))


# --- the form


def test_the_form_as_it_is_at_first_is_an_experiment_with_nothing_but_prompt_and_scales():
    section = experiment_of(form())
    assert section == {
        "prompt": "a bird",
        "guidance_scales": {"from": 0.0, "to": 20.0, "step": 0.5},
    }
    assert counted(section) == (1, 41)


def test_everything_that_is_said_is_in_the_experiment():
    section = experiment_of(
        form(
            prompt=" a bird \n\n a  tree ",
            negative_prompt="text",
            seeds="3, 1-2",
            rules=["plain", "rescale"],
            phi=0.5,
            first=1,
            last=2,
            step=0.1,
            adaptive=True,
            steps=7,
            scheduler="euler",
            batch_size=4,
            fps=20,
            film=["gif", "mp4"],
        )
    )
    config = config_of(section)
    assert config.prompts == ("a bird", "a tree")
    assert config.seeds == (3, 1, 2)
    assert [rule.phi for rule in config.rules if rule.name == "rescale"] == [0.5]
    assert config.video.formats == ("mp4", "gif")
    assert (config.steps, config.scheduler, config.batch_size) == (7, "euler", 4)
    assert counted(section) == (len(lines_of(config, [])), 11)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"prompt": ""}, "write a prompt"),
        ({"prompt": None}, "write a prompt"),
        ({"prompt": " \n "}, "write a prompt"),
        ({"prompt": 5}, "the prompt should be text"),
        ({"prompt": "x" * 9000}, "too long"),
        ({"negative_prompt": ["a"]}, "the negative prompt should be text"),
        ({"prompt": "a [name]"}, "choose the words"),
        ({"seeds": ""}, "write a seed"),
        ({"seeds": "red"}, "'red' is no seed"),
        ({"seeds": "1.5"}, "'1.5' is no seed"),
        ({"seeds": "-1"}, "is no seed"),
        ({"seeds": "9" * 30}, "is no seed"),
        ({"seeds": "5-1"}, "smaller seed first"),
        ({"seeds": "0-999999999"}, "too many to see"),
        ({"rules": []}, "choose a rule"),
        ({"rules": ["best"]}, "the rule should be one of"),
        ({"rules": ["cfg++"], "scheduler": "heun"}, "needs a sampler out of"),
        ({"first": None}, "the first scale should be a number, not nothing"),
        ({"first": float("nan")}, "the first scale should be a number"),
        ({"last": float("inf")}, "the last scale should be a number"),
        ({"last": "ten"}, "the last scale should be a number, not 'ten'"),
        ({"last": 1e9}, "nothing but noise"),
        ({"first": 5, "last": 2}, "should not be below"),
        ({"step": 0}, "should be above 0"),
        ({"step": -1}, "should be above 0"),
        ({"step": True}, "the step should be a number"),
        ({"step": 2e-8}, "that would be 1,000,000,001 pictures, about 8 years if"),
        ({"step": 0.01, "seeds": "1-60"}, "that would be 120,060 pictures"),
        ({"steps": 0}, "steps should be a whole number from 1 to 1000"),
        ({"steps": 2.5}, "steps should be a whole number"),
        ({"steps": 10**9}, "steps should be a whole number"),
        ({"scheduler": "best"}, "the sampler should be one of"),
        ({"width": -8}, "the width should be a whole number"),
        ({"height": "tall"}, "the height should be a number"),
        ({"phi": 2}, "from 0 to 1"),
        ({"batch_size": -1}, "the batch size should be a whole number"),
        ({"batch_size": None}, "the batch size should be a number"),
        ({"fps": 0}, "frames a second should be"),
        ({"fps": "x"}, "frames a second should be a number"),
        ({"film": []}, "choose a format"),
        ({"film": ["avi"]}, "should be one of mp4, webm, gif"),
        ({"model": 3}, "the model should be text"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(said, sentence):
    with pytest.raises(UserError, match=r".+") as problem:
        experiment_of(form(**said))
    assert sentence in str(problem.value)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0", [0]),
        ("1,2 5", [1, 2, 5]),
        ("1 - 3; 2", [1, 2, 3]),
        (7.0, [7]),
        (str(2**63 - 1), [2**63 - 1]),
    ],
)
def test_seeds_are_written_in_several_ways(text, seeds):
    assert seeds_of(text) == seeds


def test_filling_the_form_from_a_configuration_and_sending_it_is_the_same_configuration():
    section = experiment_of(
        form(prompt="a bird\na tree", seeds="1-2", rules=["rescale"], phi=0.2, step=2, fps=20)
    )
    resolved = config_of(section).model_dump(mode="json", by_alias=True)
    values = guidance.fill({"name": "birds", "cfg": resolved})
    again = experiment_of(Form(**dict(zip(guidance.FIELDS, values, strict=True))))
    assert config_of(again) == config_of(section)
    assert values[guidance.FIELDS.index("name")] == "birds"
    with pytest.raises(UserError, match="cannot be read"):
        guidance.fill({"name": "birds", "cfg": {"prompt": 3}})


# --- how much, and where


def test_how_long_it_takes_follows_from_what_was_measured_last(tmp_path):
    section = experiment_of(form(last=10, step=1, steps=10))
    assert pace(tmp_path, "storybook") is None
    assert forecast(section, None) == "11 pictures"
    for name, seconds in (("old", 9.0), ("new", 0.5)):
        folder = tmp_path / name / "cfg"
        write_json(folder / "manifest.json", {"configuration": {"cfg": {"model": "storybook"}}})
        measured = {"batch_size": 8, "seconds_per_prediction": {"4": 9.0, "8": seconds}}
        write_json(folder / "batch-size.json", measured)
    os.utime(tmp_path / "old/cfg/manifest.json", (1e9, 1e9))  # or both were written at one time
    assert pace(tmp_path, "storybook") == 1.0
    assert pace(tmp_path, "another") is None
    assert forecast(section, 1.0) == "11 pictures, about 2 min here"
    with pytest.raises(UserError, match="about 347 days here"):
        experiment_of(form(last=999, step=0.001, steps=30), (), lambda model: 1.0)
    many = experiment_of(form(last=10, step=1, seeds="1-3", adaptive=True))
    assert forecast(many, None) == "3 x 11 scales: at most 33 pictures"


def begun(outputs, name, section):
    resolved = config_of(section).model_dump(mode="json", by_alias=True)
    write_json(outputs / name / "cfg" / "manifest.json", {"configuration": {"cfg": resolved}})


def test_the_same_pictures_at_other_scales_go_on_and_others_have_a_folder_of_their_own(tmp_path):
    coarse = experiment_of(form(step=1))
    assert place_for(tmp_path, "", coarse) == ("a-bird", coarse)
    begun(tmp_path, "a-bird", coarse)
    assert place_for(tmp_path, "", coarse)[0] == "a-bird"
    finer = experiment_of(form(step=0.25))
    assert place_for(tmp_path, "", finer) == ("a-bird", finer)
    begun(tmp_path, "a-bird", finer)
    name, section = place_for(tmp_path, "", coarse)  # all of them are there already
    assert name == "a-bird"
    assert section["guidance_scales"]["step"] == 0.25
    for other in ({"seeds": "1"}, {"steps": 9}, {"negative_prompt": "text"}, {"step": 0.3}):
        assert place_for(tmp_path, "", experiment_of(form(**other)))[0] == "a-bird-2"
    assert place_for(tmp_path, "", experiment_of(form(fps=30, step=0.25)))[0] == "a-bird"
    assert place_for(tmp_path, "mine", coarse)[0] == "mine"
    assert place_for(tmp_path, "mine", coarse, lambda name: name == "mine")[0] == "mine-2"
    assert place_for(tmp_path, "", experiment_of(form(prompt="鳥")))[0] == "guidance"


def test_the_files_of_the_words_in_a_prompt_are_named():
    a, b = Word("<a>", Path("a.pt"), "x"), Word("<b>", Path("b.pt"), "y")
    older = Word("<a>", Path("older.pt"), "z")
    words = [a, b, older]
    assert newest(words) == {"<a>": a, "<b>": b}
    assert "words" not in experiment_of(form(), words)
    assert experiment_of(form(prompt="an <a>"), words)["words"] == ["a.pt"]
    assert experiment_of(form(prompt="an <a>", words=["older.pt"]), words)["words"] == ["older.pt"]
    both = form(prompt="a bird, [name]", words=["a.pt", "b.pt"])
    assert experiment_of(both, words)["words"] == ["a.pt", "b.pt"]
    assert counted(experiment_of(both, words)) == (2, 41)


# --- the events


@pytest.fixture
def handlers(tmp_path):
    """The tab's handlers over a queue that only takes down what it is told, and what that was."""
    told = []
    queue = SimpleNamespace(
        of=lambda name, job=None: None,
        submit=lambda experiment, what, front=False: told.append((experiment, front)),
    )
    places = Places([], tmp_path)

    def folder(name, job):
        return tmp_path / places.name(name) / job

    bench: Any = SimpleNamespace(outputs=tmp_path, places=places, queue=queue, folder=folder)
    return guidance.Handlers(bench), told


def sent(handlers, **said):
    return handlers._draw(*dataclasses.astuple(form(**said)))


def test_what_is_outside_of_the_folders_is_refused(handlers, tmp_path):
    handlers, told = handlers
    (tmp_path.parent / "elsewhere").mkdir(exist_ok=True)
    outside = str(tmp_path.parent / "elsewhere")
    for said in (
        {"model": outside}, {"model": "/etc/passwd"}, {"model": "../elsewhere"},
        {"prompt": "[name]", "words": ["/etc/passwd"]}, {"name": "../x"}, {"name": "a/b"},
        {"name": ".hidden"},
    ):  # fmt: skip
        with pytest.raises(UserError):
            sent(handlers, **said)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "cfg").symlink_to(outside)
    for name in ("../elsewhere", "/etc", "..", "link"):
        with pytest.raises(UserError):
            handlers._look(name, "")
    assert told == []


def test_where_somebody_rests_the_missing_scale_is_drawn_first_as_its_run_would(
    handlers, tmp_path, drawn
):
    handlers, told = handlers
    begun(tmp_path, "x", experiment_of(form(last=2, step=0.5, steps=9)))
    write_json(tmp_path / "x" / "cfg" / "batch-size.json", {"batch_size": 8})
    drawn(tmp_path / "x" / "cfg" / "frames" / "l", {"seed": 0}, [0, 1])

    def rest(scale, wanted=()):
        event = gr.EventData(None, {"scale": scale, "name": "x"})
        return handlers._rest("x", list(wanted), event)

    wanted, _ = rest("1.5")
    assert wanted == ["1.5"]
    ((experiment, front),) = told
    assert front
    assert experiment["name"] == "x-between"
    config = config_of(experiment["cfg"])
    assert (config.guidance_scales, config.steps, config.batch_size) == ((1.5,), 9, 8)
    for scale in ("1", "0.7", "99"):  # drawn already, or not of this range
        assert rest(scale)[0] == []
    for scale in (None, "NaN", "1e999", "x", [1], {"a": 1}):
        with pytest.raises(UserError, match="is no guidance scale"):
            rest(scale)
    assert len(told) == 1


def test_a_film_is_made_in_another_format_without_losing_the_first(handlers, tmp_path):
    handlers, told = handlers
    begun(tmp_path, "x", experiment_of(form()))
    handlers._film("x", gr.EventData(None, {"format": "gif"}))
    ((experiment, _),) = told
    assert config_of(experiment["cfg"]).video.formats == ("mp4", "gif")
    with pytest.raises(UserError, match="mp4, webm, gif"):
        handlers._film("x", gr.EventData(None, {"format": "../x"}))


def test_the_page_draws_no_more_than_it_says():
    assert counted(experiment_of(form(first=0, last=100, step=0.0101)))[1] <= MOST_PICTURES
