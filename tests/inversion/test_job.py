"""The inversion job on a tiny random model: results, resuming, and what it refuses."""

import json

import pytest
from diffusers import StableDiffusionPipeline
from PIL import Image
from pydantic import ValidationError

from diffusion.formats import load_embedding
from inversion import job
from inversion.config import Config, Evaluate, Previews, Train
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


def test_a_killed_run_continues_to_the_same_bytes(tiny_sd_folder, pictures, tmp_path):
    config = configured(tiny_sd_folder, pictures)
    whole = do(config, tmp_path / "whole")
    for step in (1, 3):  # before the first checkpoint, and between two
        do(config, tmp_path / f"killed-{step}", stop_at=step)
        again = do(config, tmp_path / f"killed-{step}")
        for name in ("w.safetensors", "style.json", "previews.png", "metrics.jsonl"):
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
    bad = {
        r"no crops to learn from": {"data": ""},
        r"empty has no pictures": {"data": str(empty)},
        r"no word here.* lacks \[name\]": {"templates": str(template)},
        r"no such template file": {"templates": "none.txt"},
        r"nowhere": {"model": "nowhere/model"},
        r"missing does not exist": {
            "evaluate": Evaluate(pictures=str(tmp_path / "missing"), subjects=("a",))
        },
    }
    for sentence, change in bad.items():
        with pytest.raises(UserError, match=sentence):
            do(configured(tiny_sd_folder, pictures, **change), tmp_path / "out")
        assert not (tmp_path / "out" / "test").exists(), sentence


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
