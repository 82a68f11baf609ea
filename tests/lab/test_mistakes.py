"""What is wrong with an experiment file is said once, in one line, with its place."""

import pytest

from lab.config import ConfigError

# what is wrong: (the file, how the line about it begins)
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
        "x.yaml:3:3: cropping.zzz is not a setting; cropping has source, rate, share",
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
    "outside an interval": (
        "cropping: {source: a, share: 2}",
        "x.yaml:1:30: cropping.share should be a number from 0 to 1, not 2",
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
    "an only item with a mistake": (
        "cfg:\n  marks: [{text: 3}]\n",
        "x.yaml:2:18: cfg.marks[0].text should be text, not 3; put it in quotes",
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


def test_mistakes_can_be_read_by_a_program(load):
    with pytest.raises(ConfigError) as caught:
        load("cfg:\n  sed: 1\n")
    (mistake,) = caught.value.mistakes
    assert (mistake.place.line, mistake.place.column) == (2, 3)
