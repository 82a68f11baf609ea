"""The inversion job on a tiny random model: results, resuming, and what it refuses."""

import json

import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from pydantic import ValidationError

from diffusion.formats import load_embedding, save_embedding
from diffusion.prompts import encode_prompts
from diffusion.pseudo_word import add_word
from diffusion.stable_diffusion import load
from inversion import job
from inversion.config import Config, Evaluate, Previews, Train
from inversion.initial import vocabulary_norms
from lab.errors import UserError
from lab.run import Run


@pytest.fixture
def pictures(draw_noise):
    return draw_noise(4, (40, 40))


def configured(tiny_sd_folder, pictures, **changes):
    settings = {
        "word": "<w>",
        "num_vectors": 2,
        "model": str(tiny_sd_folder),
        "data": str(pictures),
        "device": "cpu",
        "train": Train(steps=4, batch_size=2, checkpoint_every=2),
        "previews": Previews(every=3, prompts=("ab [name]",), steps=2),
        "evaluate": Evaluate(pictures=str(pictures), subjects=("a", "b"), seeds=1, steps=2),
    }
    return Config(**(settings | changes))


def do(config, outputs, stop_at=None):
    """Run the job; `stop_at` abandons it after that training step, as a kill would."""
    with Run(outputs, "test", "inversion") as run:
        for progress in job.run(config, run):
            if progress.stage.startswith("learning") and progress.done == stop_at:
                run.reused = True  # a killed process writes no last manifest
                return run
    return run


def test_the_job_leaves_a_word_that_the_pipeline_loads(tiny_sd_folder, pictures, tmp_path):
    run = do(configured(tiny_sd_folder, pictures), tmp_path / "out")
    word = load_embedding(run.folder / "w.safetensors")
    assert word.token == "<w>" and word.vectors.shape[0] == 2
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_sd_folder, safety_checker=None)
    pipeline.load_textual_inversion(run.folder, weight_name="w.safetensors", local_files_only=True)
    report = json.loads((run.folder / "style.json").read_text())
    assert report["pairs"] == 2 and report["reference_pictures"] == 4
    assert [line["step"] for line in run.metrics()] == [0, 1, 2, 3, 4]
    for name in ("previews.png", "curves.png", "style.png", "previews/step-000000.png"):
        Image.open(run.folder / name).verify()
    assert any("style distance" in note for note in run.notes)


FILES = ("w.safetensors", "style.json", "previews.png", "metrics.jsonl", "vectors.jsonl")


def test_a_killed_run_continues_to_the_same_bytes(tiny_sd_folder, pictures, tmp_path):
    config = configured(tiny_sd_folder, pictures)
    whole = do(config, tmp_path / "whole")
    for step in (1, 3):  # before the first checkpoint, and between two
        do(config, tmp_path / f"killed-{step}", stop_at=step)
        again = do(config, tmp_path / f"killed-{step}")
        for name in FILES:
            assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_a_finished_run_is_not_repeated_but_a_changed_one_is(tiny_sd_folder, pictures, tmp_path):
    config = configured(tiny_sd_folder, pictures, evaluate=None)
    first = do(config, tmp_path)
    before = (first.folder / "w.safetensors").read_bytes()
    assert do(config, tmp_path).reused
    other = do(configured(tiny_sd_folder, pictures, evaluate=None, seed=1), tmp_path)
    assert not other.reused
    assert (other.folder / "w.safetensors").read_bytes() != before
    assert len(other.metrics()) == 5


def test_what_cannot_be_learned_from_is_said_before_anything_is_written(
    tiny_sd_folder, pictures, tmp_path
):
    template = tmp_path / "templates.txt"
    template.write_text("a [name]\n\nno word here\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    narrow, three = tmp_path / "narrow.safetensors", tmp_path / "three.safetensors"
    save_embedding(narrow, "<x>", torch.ones(2, 5))
    save_embedding(three, "<x>", torch.ones(3, 32))
    bad = {
        r"no crops to learn from": {"data": ""},
        r"empty has no pictures": {"data": str(empty)},
        r"'no word here' .* does not hold <w>": {"templates": str(template)},
        r"hold <w> or <v>": {"templates": str(template), "also": ({"word": "<v>"},)},
        r"no caption or template holds <v>": {"also": ({"word": "<v>"},)},
        r"cuts <w>, a word of 70 vectors": {"num_vectors": 70},
        r"narrow\.safetensors has vectors of width 5": {"initial_embedding": str(narrow)},
        r"three\.safetensors has 3 vectors": {"initial_embedding": str(three)},
        r"no such template file": {"templates": "none.txt"},
        r"nowhere": {"model": "nowhere/model"},
        r"missing does not exist": {
            "evaluate": Evaluate(pictures=str(tmp_path / "missing"), subjects=("a",))
        },
    }
    for sentence, change in bad.items():
        with pytest.raises(UserError, match=sentence):
            do(configured(tiny_sd_folder, pictures, **change), tmp_path / "out")
        assert not (tmp_path / "out").exists(), sentence
    Image.new("L", (40, 40)).save(pictures / "02 a thing.mask.png")
    with pytest.raises(UserError, match=r"02 a thing\.png is masked all over"):
        do(configured(tiny_sd_folder, pictures), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_compiler_that_is_missing_is_said_before_anything_is_written(
    tiny_sd_folder, pictures, tmp_path, monkeypatch
):
    monkeypatch.setattr("inversion.speed.why_not", lambda device: "no compiler")
    asked = configured(tiny_sd_folder, pictures, train=Train(compile=True))
    with pytest.raises(UserError, match=r"train\.compile cannot work on cpu here \(no compiler\)"):
        do(asked, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_style_and_an_object_are_learned_at_once_and_saved_apart(
    tiny_sd_folder, pictures, tmp_path
):
    previous = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))
    save_embedding(tmp_path / "previous.safetensors", "<x>", previous)
    config = configured(
        tiny_sd_folder,
        pictures,
        word="cat",
        overwrite=True,
        initial_embedding=str(tmp_path / "previous.safetensors"),
        also=({"word": "<v>", "num_vectors": 3, "initial_words": "b"},),
        templates=("[name] and <v>, [filewords]",),
        norm="project",
        previews=Previews(every=3, prompts=("a [name] of <v>",), steps=2, negative_prompt="<v>"),
        evaluate=None,
    )
    folder = do(config, tmp_path / "out").folder
    cat, other = (load_embedding(folder / f"{name}.safetensors") for name in ("cat", "v"))
    assert (cat.token, other.token) == ("cat", "<v>")
    assert (len(cat.vectors), len(other.vectors)) == (2, 3)
    sd = load(str(tiny_sd_folder), device="cpu")
    mean = vocabulary_norms(sd).mean
    for word in (cat, other):  # the best rows may be those of the start
        add_word(sd, word.token, word.vectors)
    encode_prompts(sd, ["a cat of <v>"])
    lines = [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]
    norms = [line["norm"] for line in lines if "norm" in line]
    assert norms == pytest.approx([mean] * len(norms), rel=1e-5) and norms


def test_mistakes_in_the_section_are_refused():
    for change, sentence in (
        ({"word": "style"}, "angle brackets"),
        ({"word": "<a b>"}, "letters"),
        ({"templates": ("a [filewords]",)}, r"\[name\]"),
        ({"templates": ()}, "at least one"),
        ({"train": {"learning_rate": -1.0}}, "greater than 0"),
    ):
        with pytest.raises(ValidationError, match=sentence):
            Config(**change)  # type: ignore[arg-type]
