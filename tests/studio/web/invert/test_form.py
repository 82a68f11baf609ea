"""The form of the tab Invert: what it says becomes an experiment, and what it cannot be is said."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from inversion.config import Config
from lab.errors import UserError
from lab.run import Run
from studio.web.bench import Bench
from studio.web.invert import form, start
from studio.web.places import Places
from studio.web.queue import Queue

KEYS = [field.setting for field in form.FIELDS]


@pytest.fixture
def bench(tmp_path):
    """A bench whose queue never begins, over two pictures that may be read."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("a fox", "a hen"):
        Image.new("RGB", (40, 40), "red").save(pictures / f"{name}.png")
    places = Places([pictures], tmp_path / "outputs")
    return Bench(places.outputs, places, Queue(places.outputs, places, warm=False))


@pytest.fixture
def filled_in(bench):
    """The fields of a form that is complete, with some of them changed."""

    def filled_in(**changes):
        values = dict(zip(KEYS, form.begin(), strict=True))
        values |= {"word": "fox", "data": str(bench.places.roots[0])}
        return list((values | {k.replace("__", "."): v for k, v in changes.items()}).values())

    return filled_in


def test_a_form_that_is_filled_from_a_run_makes_the_same_run():
    sections = [
        {"word": "<w>"},
        {"word": "<w>", "num_vectors": [1, 16], "train": {"learning_rate": "0.005:100, 1e-3"}},
        {"word": "<w>", "templates": "mine.txt", "also": [{"word": "<v>"}], "memory": 6.5},
        {
            "word": "doctor", "overwrite": True, "num_vectors": 1, "templates": ["[filewords]"],
            "balance": {"attribute": "sex", "values": ["f", "m"], "wanted": {"f": 2, "m": 1.5}},
            "train": {"timesteps": [0.3, 1], "flip": False, "learning_rate": 0.00123456789},
        },
        {
            "word": "<w>", "captions": {"joiner": " - "}, "previews": {"prompts": []},
            "evaluate": {"pictures": "p", "subjects": ["a fox, red", "b"], "seeds": 3},
        },
    ]  # fmt: skip
    for section in sections:
        config = Config.model_validate_json(json.dumps(section))
        values, others = form.filled(config.model_dump(mode="json", by_alias=True))
        again = Config.model_validate_json(json.dumps(form.section_of(values, others)))
        assert again == config
        assert form.filled(form.section_of(values, others)) == (values, others)


def test_pictures_that_are_handed_on_leave_the_rest_as_the_page_begins():
    values = dict(zip(KEYS, form.begin("x/cropping"), strict=True))
    assert values["data"] == "x/cropping" and values["word"] == ""
    assert values["train.learning_rate"] == "0.03"
    with pytest.raises(UserError, match="another version"):
        form.filled({"word": "<w>", "loerning_rate": 1})


def test_only_what_differs_from_the_defaults_is_written(filled_in):
    section = form.section_of(filled_in())
    assert section["word"] == "<fox>" and "objective" not in section and "balance" not in section
    assert section["train"] == {"steps": 400, "learning_rate": 0.03, "optimizer": "schedule_free"}
    section = form.section_of(filled_in(), "train.warmup=10\nobjective.every=5")
    assert section["train"]["warmup"] == 10 and section["objective"] == {"every": 5}


def test_another_model_begins_otherwise_but_leaves_what_was_written(filled_in):
    before = filled_in(model="sd-1-5", train__steps="77")
    after = dict(zip(KEYS, form.started(before), strict=True))
    assert after["train.learning_rate"] == "0.005" and after["train.optimizer"] == "adamw"
    assert after["train.steps"] == "77" and after["word"] == "fox"
    back = form.started(list((after | {"model": "storybook"}).values()))
    assert back == filled_in(train__steps="77")


def test_a_word_that_is_learned_anew_begins_with_what_it_means(filled_in):
    after = form.started(filled_in(overwrite=True))
    section = form.section_of(after)
    assert section["word"] == "fox" and section["initial_words"] == "fox"
    assert section["num_vectors"] == 1 and section["templates"][0] == "a [name]"
    assert all(
        "style" not in text for text in (*section["templates"], *section["previews"]["prompts"])
    )
    unticked = dict(zip(KEYS, after, strict=True)) | {"overwrite": False}
    assert form.started(list(unticked.values())) == filled_in()


BAD = {
    "model": ("../secret", "/etc", "no/such/model/there", "a\x00b", "x" * 5000),
    "data": ("", "/etc", "../..", "nowhere"),
    "word": ("", "a/b", "<a", "<a b>", "<|endoftext|>", "../x", "x" * 300),
    "num_vectors": ("", "0", "76", "-1", "1.5", "many", "nan", "1, 1", "1, 0"),
    "train.steps": ("", "0", "-5", "ten", "1e3", "nan", "inf", "1.5"),
    "balance.attribute": ("gender",),
    "balance.values": ("female",),
    "train.learning_rate": ("0", "-1", "nan", "fast", "0.1:5, x", "0.1:5"),
    "train.batch_size": ("0", "eight"),
    "train.optimizer": ("sgd", ""),
    "norm": ("long",),
    "templates": ("", "a picture", "/etc/passwd.txt"),
    "train.timesteps": ("1, 0", "0.5", "a, b", "0, 2"),
    "seed": ("1.5", "x", "nan"),
    "stop.rule": ("sometimes",),
    "stop.tolerance": ("0", "1", "nan", "much"),
    "stop.earliest": ("-1", "x"),
    "objective.held_out": ("0.9", "half"),
    "previews.every": ("0", "x"),
    "previews.guidance_scale": ("nan", "x"),
    "previews.steps": ("0", "x"),
    "previews.seed": ("x",),
    "evaluate.pictures": ("/etc", "../.."),
    "resolution": ("-8", "x"),
    "dtype": ("fp8",),
    "memory": ("0", "-1", "lots", "nan"),
}


@pytest.mark.parametrize("setting", BAD)
def test_what_a_field_cannot_hold_is_answered_with_a_sentence(bench, filled_in, setting):
    for value in BAD[setting]:
        with pytest.raises(UserError) as problem:
            start.begin(bench, filled_in(**{setting: value}), "", "")
        said = str(problem.value)
        assert len(said) > 15 and "Error" not in said and "Traceback" not in said, (value, said)
        assert "inversion." not in said and ".yaml" not in said, said
    assert bench.queue.all() == []


def test_names_and_other_settings_are_held_to_the_same(bench, filled_in):
    for name in ("../x", "/tmp/x", ".studio", "a\nb", "..", "x" * 300):
        with pytest.raises(UserError):
            start.begin(bench, filled_in(), "", name)
    for others in ("train", "=", "train.warmup=x", "nothing.at.all=1", "track=wandb", "data=/etc"):
        with pytest.raises(UserError):
            start.begin(bench, filled_in(), others, "")
    assert bench.queue.all() == [] and not (bench.outputs / "x").exists()


def test_pictures_of_other_folders_are_not_shown_through_a_list_or_a_link(bench, tmp_path):
    folder, outside = bench.places.roots[0], tmp_path / "outside.png"
    Image.new("RGB", (9, 9)).save(outside)
    assert "2 pictures, with captions such as “a fox”." in start.look_at(bench, str(folder))
    (folder / "z.png").symlink_to(outside)
    with pytest.raises(UserError, match="outside of the folders"):
        start.look_at(bench, str(folder))
    (folder / "z.png").unlink()
    (folder / "metadata.jsonl").write_text('{"file_name": "../outside.png", "text": "x"}\n')
    with pytest.raises(UserError, match="outside of the folders"):
        start.begin(bench, _with(folder), "", "")
    (folder / "metadata.jsonl").unlink()
    (folder / "held").mkdir()
    (folder / "held" / "z.png").symlink_to(outside)
    others = f'evaluate={{"pictures": "{folder / "held"}", "subjects": ["a fox"]}}'
    with pytest.raises(UserError, match="outside of the folders"):
        start.begin(bench, _with(folder), others, "")


def _with(folder):
    values = dict(zip(KEYS, form.begin(), strict=True)) | {"word": "w", "data": str(folder)}
    return list(values.values())


def test_a_word_is_never_learned_over_another(bench, filled_in):
    """A name that is in use by other settings is refused, or gets a number behind it."""
    assert start.begin(bench, filled_in(), "", "") == "fox"
    with pytest.raises(UserError, match="fox"):
        start.begin(bench, filled_in(), "", "fox")
    assert start.begin(bench, filled_in(seed="1"), "", "") == "fox-2"
    crops = bench.outputs / "farm" / "cropping"
    crops.mkdir(parents=True)
    Image.new("RGB", (40, 40)).save(crops / "0.png")
    (crops / "crops.jsonl").write_text('{"file": "0.png", "caption": "a hen"}\n')
    assert start.begin(bench, filled_in(data=str(crops)), "", "") == "farm"
    assert start.begin(bench, filled_in(data=str(crops), seed="1"), "", "") == "fox-3"


def test_the_same_form_again_goes_on_with_the_same_run(bench, filled_in):
    config = Config.model_validate_json(json.dumps(form.section_of(filled_in())))
    folder = bench.outputs / "fox" / "inversion"
    folder.mkdir(parents=True)
    known = {"inversion": config.model_dump(mode="json", by_alias=True)}
    (folder / "manifest.json").write_text(
        json.dumps({"status": "interrupted", "configuration": known})
    )
    assert start.experiment_of(bench, filled_in(), "", "")["name"] == "fox"
    assert start.experiment_of(bench, filled_in(), "", "fox")["name"] == "fox"
    assert start.experiment_of(bench, filled_in(seed="1"), "", "")["name"] == "fox-2"


def test_who_opens_the_page_finds_what_is_being_learned(bench):
    """In a terminal, too: the folder says so."""
    assert start.at_work(bench) == ""
    for name, status in (("old", "complete"), ("killed", "running")):
        folder = bench.outputs / name / "inversion"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({"status": status}))
    with Run(bench.outputs, "new", "inversion") as run:
        run.is_complete("a key")
        assert start.at_work(bench) == "new"
    assert start.at_work(bench) == ""
    assert {name for name, _ in start.run_choices(bench)} == {"old", "new", "killed"}


def test_every_field_has_help_that_no_browser_takes_for_tags():
    for field in form.FIELDS:
        assert len(field.help) > 10 and "<" not in field.help, field.setting


def test_a_word_that_the_model_has_is_refused_at_once(bench, filled_in):
    model = bench.places.roots[0] / "model"
    (model / "tokenizer").mkdir(parents=True)
    for name, text in (
        ("added_tokens.json", '{"<fox>": 49408}'),
        ("tokenizer.json", '{"added_tokens": [{"id": 49408, "content": "<fox>"}]}'),
    ):
        (model / "tokenizer" / name).write_text(text)
        with pytest.raises(UserError, match="Your word: <fox> is in the model's vocabulary"):
            start.begin(bench, filled_in(model=str(model)), "", "")
        (model / "tokenizer" / name).unlink()
    assert start.begin(bench, filled_in(model=str(model), word="hen"), "", "") == "hen"


def test_nothing_behind_the_page_imports_torch():
    names = ("form", "read", "start", "draw", "word")
    code = f"import sys, {', '.join(f'studio.web.invert.{name}' for name in names)}; "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
