"""Experiment files: what is right is read, and what is wrong is said once, with its place."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from lab.config import ConfigError, Section, explain, json_schema, load_experiment
from lab.errors import UserError


class Range(Section):
    """An even range of scales."""

    start: float = Field(alias="from")
    """The first scale."""
    to: float
    """The last scale."""
    step: Annotated[float, Field(gt=0)] = 1.0
    """The distance between two scales."""


class Video(Section):
    """The film."""

    fps: int = Field(default=14, gt=0)
    """Frames per second."""


class Word(Section):
    """A word to draw."""

    text: str
    """The word itself."""
    weight: float = 1.0
    """How strongly."""


class Sweep(Section):
    """One prompt at many scales. And more."""

    guidance_scales: list[Annotated[float, Field(ge=0)]] | Range = [1.0]
    """The scales, in order."""
    prompt: str = "a cat"
    """What to draw."""
    source: str | None = None
    """A folder of pictures."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides the noise."""
    size: tuple[int, int] = (512, 512)
    """Width and height in pixels."""
    scheduler: Literal["ddim", "euler", "pndm"] = "ddim"
    """How the steps are taken."""
    previews: bool = True
    """Whether to draw on the way."""
    limit: Literal["auto"] | float = "auto"
    """A bound, or `auto`."""
    video: Video = Video()
    """How it is filmed."""
    words: list[Word] = []
    """The words."""

    @model_validator(mode="after")
    def _not_thirteen(self):
        if self.seed == 13:
            raise ValueError("cfg.seed 13 is unlucky; use another one")
        return self


class Crop(Section):
    """Square pictures."""

    source: str
    """Folder of pictures, with those below it. Any format."""
    rate: float = 1e-3
    """A rate."""


MODELS: dict[str, type[Section]] = {"cropping": Crop, "cfg": Sweep}


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Writes `x.yaml` in an empty folder and loads it."""
    monkeypatch.chdir(tmp_path)

    def write_and_load(text: str, *overrides: str):
        Path("x.yaml").write_text(text, encoding="utf-8")
        return load_experiment("x.yaml", overrides, MODELS)

    return write_and_load


@pytest.fixture
def complaints(load):
    """The lines said about a file."""

    def of(text: str, *overrides: str) -> list[str]:
        with pytest.raises(UserError) as caught:
            load(text, *overrides)
        return str(caught.value).splitlines()

    return of


def test_sections_come_in_running_order_with_their_defaults(load):
    experiment = load("cfg:\n  seed: 3\ncropping:\n  source: pictures\n")
    assert list(experiment.sections) == ["cropping", "cfg"]
    assert experiment.name == "x"
    assert experiment.sections["cfg"] == Sweep(seed=3)
    assert experiment.resolved["cropping"] == {"source": "pictures", "rate": 0.001}
    assert list(experiment.resolved) == ["name", "cropping", "cfg"]


def test_what_is_resolved_loads_again_as_the_same(load):
    import json

    first = load("name: a\ncfg: {guidance_scales: {from: 0, to: 2}, words: [{text: w}]}")
    assert load(json.dumps(first.resolved)).sections == first.sections


def test_an_empty_section_means_all_defaults(load):
    assert load("cfg:\n").sections == {"cfg": Sweep()}


def test_a_section_cannot_be_changed():
    with pytest.raises(ValidationError):
        Sweep().seed = 1  # pyright: ignore[reportAttributeAccessIssue]


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


# --- mistakes: (file, the line that is said)

MISTAKES = {
    "unknown setting": (
        "cfg:\n  sed: 1\n",
        "x.yaml:2:3: cfg.sed is not a setting; did you mean seed?",
    ),
    "unknown nested setting": (
        "cfg:\n  video:\n    fsp: 3\n",
        "x.yaml:3:5: cfg.video.fsp is not a setting; did you mean fps?",
    ),
    "right setting, wrong level": (
        "cfg:\n  fps: 3\n",
        "x.yaml:2:3: cfg.fps is not a setting; did you mean cfg.video.fps?",
    ),
    "nothing like it": (
        "cropping:\n  source: a\n  zzz: 3\n",
        "x.yaml:3:3: cropping.zzz is not a setting; cropping has source, rate",
    ),
    "setting outside its section": (
        "cfg:\nrate: 3\n",
        "x.yaml:2:1: rate is not a section; did you mean cropping.rate?",
    ),
    "unknown section": (
        "cfg:\ncroping:\n",
        "x.yaml:2:1: croping is not a section; did you mean cropping?",
    ),
    "no such section at all": (
        "cfg:\nwhatever: 1\n",
        "x.yaml:2:1: whatever is not a section; the sections are cropping, cfg",
    ),
    "missing": (
        "cfg:\ncropping:\n  rate: 1.0\n",
        "x.yaml:2:1: cropping.source is missing: Folder of pictures, with those below it",
    ),
    "text for a whole number": (
        "cfg:\n  seed: abc\n",
        "x.yaml:2:9: cfg.seed should be a whole number of at least 0, not 'abc'",
    ),
    "fraction for a whole number": (
        "cfg: {seed: 5.0}",
        "x.yaml:1:13: cfg.seed should be a whole number of at least 0, not 5.0",
    ),
    "truth for a number": (
        "cropping: {source: a, rate: true}",
        "x.yaml:1:29: cropping.rate should be a number, not true",
    ),
    "quoted number": (
        'cropping: {source: a, rate: "3"}',
        "x.yaml:1:29: cropping.rate should be a number, not '3'",
    ),
    "not a finite number": (
        "cropping: {source: a, rate: .nan}",
        "x.yaml:1:29: cropping.rate should be a number, not NaN",
    ),
    "number for a text": (
        "cfg: {prompt: 5}",
        "x.yaml:1:15: cfg.prompt should be text, not 5; put it in quotes",
    ),
    "null for a text": ("cfg:\n  prompt:\n", "x.yaml:2:3: cfg.prompt should be text, not null"),
    "word for a truth": (
        "cfg: {previews: no}",
        "x.yaml:1:17: cfg.previews should be true or false, not 'no'",
    ),
    "out of bounds": (
        "cfg: {video: {fps: 0}}",
        "x.yaml:1:20: cfg.video.fps should be a whole number above 0, not 0",
    ),
    "mistyped choice": (
        "cfg: {scheduler: dimm}",
        "x.yaml:1:18: cfg.scheduler should be ddim, euler or pndm, not 'dimm'; did you mean ddim?",
    ),
    "text in a list of numbers": (
        "cfg:\n  guidance_scales:\n    - 1\n    - x\n",
        "x.yaml:4:7: cfg.guidance_scales[1] should be a number of at least 0, not 'x'",
    ),
    "setting of an item": (
        "cfg:\n  words:\n    - text: a\n      wight: 2\n",
        "x.yaml:4:7: cfg.words[0].wight is not a setting; did you mean weight?",
    ),
    "missing in an item": (
        "cfg:\n  words:\n    - weight: 2\n",
        "x.yaml:3:7: cfg.words[0].text is missing: The word itself",
    ),
    "list of the wrong length": (
        "cfg: {size: [1, 2, 3]}",
        "x.yaml:1:13: cfg.size should be a list of 2 whole numbers, not [1, 2, 3]",
    ),
    "list that is too short": (
        "cfg: {size: [1]}",
        "x.yaml:1:13: cfg.size should be a list of 2 whole numbers, not [1]",
    ),
    "neither list nor range": (
        "cfg: {guidance_scales: many}",
        "x.yaml:1:24: cfg.guidance_scales should be a list of numbers of at least 0 "
        "or a mapping with from, to, step, not 'many'",
    ),
    "range with a typing error": (
        "cfg: {guidance_scales: {from: 0, to: 1, stpe: 2}}",
        "x.yaml:1:41: cfg.guidance_scales.stpe is not a setting; did you mean step?",
    ),
    "range without an end": (
        "cfg:\n  guidance_scales: {from: 0}",
        "x.yaml:2:3: cfg.guidance_scales.to is missing: The last scale",
    ),
    "neither word nor number": (
        "cfg: {limit: many}",
        "x.yaml:1:14: cfg.limit should be auto or a number, not 'many'",
    ),
    "value for a section": ("cfg: 3", "x.yaml:1:6: cfg should be a mapping of settings, not 3"),
    "value for nested settings": (
        "cfg: {video: 3}",
        "x.yaml:1:14: cfg.video should be a mapping with fps, not 3",
    ),
    "rule of the model": (
        "cfg:\n  seed: 13\n",
        "x.yaml:1:1: cfg.seed 13 is unlucky; use another one",
    ),
    "written twice": (
        "cfg:\n  seed: 1\n  seed: 2\n",
        "x.yaml:3:3: cfg.seed is written twice, first on line 2",
    ),
    "section written twice": ("cfg:\ncfg:\n", "x.yaml:2:1: cfg is written twice, first on line 1"),
    "broken YAML": (
        "cfg: [1",
        "x.yaml:1:8: not valid YAML: expected ',' or ']', but got '<stream end>'",
    ),
    "tabs": ("cfg:\n\tseed: 1\n", "x.yaml:2:1: not valid YAML: found character '\\t' that cannot"),
    "two documents": (
        "cfg:\n---\ncfg:\n",
        "x.yaml:2:1: not valid YAML: but found another document",
    ),
    "unprintable": ("cfg: \x01", "x.yaml:1:1: not valid YAML: unacceptable character"),
    "a list": ("- cfg", "x.yaml:1:1: the file should be a mapping of sections"),
    "a tag": ("cfg:\nname: !x 3", "x.yaml:2:7: the YAML tag !x means nothing here; remove it"),
    "a tag on a mapping": (
        "cfg: !x {}",
        "x.yaml:1:6: the YAML tag !x means nothing here; remove it",
    ),
    "a knot": ("cfg: &x {words: [*x]}", "x.yaml:1:6: cfg.words[0] contains itself"),
    "number as name": ("name: 5\ncfg:", "x.yaml:1:7: name should be text, not 5; put it in quotes"),
    "path as name": ("name: ../x\ncfg:", "x.yaml:1:7: name should be fit for a folder"),
    "dots as name": ("name: '..'\ncfg:", "x.yaml:1:7: name should be fit for a folder"),
    "empty": ("", "x.yaml has no section; give it one or more of cropping, cfg"),
    "only a comment": ("# c\n", "x.yaml has no section; give it one or more of cropping, cfg"),
}


@pytest.mark.parametrize(("text", "line"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_said_in_one_line(complaints, text, line):
    said = complaints(text)
    assert said[0].startswith(line)
    assert len(said) == 1


def test_all_mistakes_are_said_at_once_in_the_order_of_the_file(complaints):
    text = "cfg:\n  sed: 1\n  size: 3\n  video: {fps: x}\ncropping:\n  rate: a\nother: 1\n"
    said = complaints(text, "cfg.prompt=7")
    assert [line.split(" ")[0] for line in said] == [
        "x.yaml:2:3:",
        "x.yaml:3:9:",
        "x.yaml:4:16:",
        "x.yaml:5:1:",
        "x.yaml:6:9:",
        "x.yaml:7:1:",
        "override",
    ]


def test_places_are_counted_in_the_text_the_user_sees(complaints):
    assert complaints("# é€\n\ncfg:\n  prompt: 'é€'\n  sed: 1")[0].startswith("x.yaml:5:3:")


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


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("cfg.sed=1", "override cfg.sed=1: cfg.sed is not a setting; did you mean seed?"),
        ("cgf.seed=1", "override cgf.seed=1: cgf is not a section; did you mean cfg?"),
        ("cfg.seed=x", "override cfg.seed=x: cfg.seed should be a whole number"),
        (
            "cfg.guidance_scales=[0,x]",
            "override cfg.guidance_scales=[0,x]: cfg.guidance_scales[1] ",
        ),
        (
            "cfg.guidance_scales.to=2",
            "override cfg.guidance_scales.to=2: cfg.guidance_scales is a ",
        ),
        (
            "cfg.guidance_scales[9]=2",
            "override cfg.guidance_scales[9]=2: cfg.guidance_scales is a ",
        ),
        ("cfg.words[0]=1", "override cfg.words[0]=1: cfg.words is not set here, without an item"),
        ("cfg.seed.x=2", "override cfg.seed.x=2: cfg.seed is a single value here, not a mapping"),
        ("cfg.video=3", "override cfg.video=3: cfg.video should be a mapping with fps, not 3"),
        ("cfg.seed", "override cfg.seed: this is not section.setting=value, such as cfg.seed=1"),
        ("=3", "override =3: this is not section.setting=value"),
        ("cfg..seed=3", "override cfg..seed=3: this is not section.setting=value"),
        ("cfg.seed =3", "override cfg.seed =3: this is not section.setting=value"),
        ("name=a/b", "override name=a/b: name should be fit for a folder"),
        ("cropping.rate=1", "override cropping.rate=1: cropping.source is missing"),
    ],
)
def test_a_mistake_in_an_override_is_said_as_one(complaints, override, line):
    said = complaints("cfg:\n  seed: 1\n  guidance_scales: [1, 2]\n", override)
    assert len(said) == 1
    assert said[0].startswith(line)


# --- files


def test_a_missing_file_is_said_with_the_one_that_was_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("experiments").mkdir()
    Path("experiments/storybook.yaml").write_text("cfg:")
    for typed in ("experiments/stroybook.yaml", "storybook", "storybook.yml"):
        with pytest.raises(UserError, match=r"did you mean experiments/storybook.yaml\?"):
            load_experiment(typed, [], MODELS)
    with pytest.raises(UserError, match="the experiment file comes first"):
        load_experiment("cfg.seed=1", [], MODELS)


def test_a_folder_and_a_picture_are_no_experiments(tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        load_experiment(tmp_path, [], MODELS)
    picture = tmp_path / "p.yaml"
    picture.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UserError, match="UTF-8"):
        load_experiment(picture, [], MODELS)


def test_mistakes_can_be_read_by_a_program(load):
    with pytest.raises(ConfigError) as caught:
        load("cfg:\n  sed: 1\n")
    (mistake,) = caught.value.mistakes
    assert (mistake.place.line, mistake.place.column) == (2, 3)


# --- help


def test_explain_names_every_setting_with_kind_default_and_meaning():
    text = explain(Sweep, "cfg")
    assert "cfg.seed  (a whole number of at least 0; default 0)\n    Decides the noise." in text
    assert "cfg.guidance_scales.from  (a number; required)\n    The first scale." in text
    assert "cfg.video.fps  (a whole number above 0; default 14)" in text
    assert "cfg.words[i].weight" in text
    assert text.startswith("cfg: One prompt at many scales.\n")


def test_explain_goes_as_deep_as_asked():
    assert explain(Sweep, "cfg.video.fps").startswith("cfg.video.fps  (")
    assert "cfg.seed" not in explain(Sweep, "cfg.video")
    with pytest.raises(UserError, match=r"did you mean cfg.video\?"):
        explain(Sweep, "cfg.vidoe")
    with pytest.raises(UserError, match="single value"):
        explain(Sweep, "cfg.seed.deeper")


def test_the_schema_has_each_section_and_refuses_others():
    schema = json_schema(MODELS)
    assert list(schema["properties"]) == ["name", "cropping", "cfg"]
    assert schema["additionalProperties"] is False
    sweep = schema["$defs"]["Sweep"]
    assert sweep["properties"]["seed"]["description"] == "Decides the noise."
    assert set(schema["$defs"]["Range"]["properties"]) == {"from", "to", "step"}
