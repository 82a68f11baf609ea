"""A run that ends anywhere leaves nothing half-written, and continues to the same bytes."""

import errno
import json
import re

import pytest
import torch

import lab.run
from diffusion.formats import load_embedding
from inversion import checkpoints, job, learning, stopping
from inversion.config import Config, Objective, Previews, Train
from inversion.stopping import Ending, Measured
from inversion.training import State, TrainStep
from lab.errors import UserError
from lab.run import Run

RESULTS = ("w.safetensors", "metrics.jsonl", "learned.json")


@pytest.fixture
def config(tiny_sd_folder, draw_noise):
    return Config(
        word="<w>",
        num_vectors=2,
        model=str(tiny_sd_folder),
        data=str(draw_noise(4, (32, 32))),
        device="cpu",
        train=Train(steps=6, batch_size=2, checkpoint_every=1, optimizer="schedule_free"),
        objective=Objective(pictures=2, every=2, held_out=0.25),
        previews=Previews(prompts=()),
    )


def do(config, outputs):
    with Run(outputs, "test", "inversion") as run:
        for _ in job.run(config, run):
            pass
    return run


def results(run):
    return {name: (run.folder / name).read_bytes() for name in RESULTS}


def state_of(step: int) -> State:
    rows = torch.full((2, 3), float(step))
    history = tuple(Measured(k, 1.0 / (k + 1), 0.5, 0.1) for k in range(step + 1))
    optimizer = {"state": {0: {"z": rows}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    return State(step, rows, optimizer, rows + 1, history, rows + 2, Ending(8, 2), 4, (1.0, 0))


def test_a_checkpoint_comes_back_whole(tmp_path):
    state = state_of(3)
    checkpoints.save(tmp_path, state, {"steps": 1.5}, keep=2)
    found, about = checkpoints.newest(tmp_path, torch.device("cpu")) or (None, {})
    assert found is not None and about == {"steps": 1.5}
    for name in ("step", "history", "ending", "part_size", "loss_scale"):
        assert getattr(found, name) == getattr(state, name), name
    for name in ("rows", "result", "best"):
        assert torch.equal(getattr(found, name), getattr(state, name)), name
    assert found.optimizer["param_groups"] == state.optimizer["param_groups"]
    assert found.best_measured.step == 1  # the first after the start: all held-out losses are equal


def test_checkpoints_rotate_and_a_damaged_one_is_passed_over(tmp_path):
    assert checkpoints.newest(tmp_path, torch.device("cpu")) is None
    for step in range(1, 6):
        checkpoints.save(tmp_path, state_of(step), {}, keep=2)
    names = [path.name for path in checkpoints.files(tmp_path)]
    assert names == ["step-000004.pt", "step-000005.pt"]
    newest = tmp_path / names[-1]
    newest.write_bytes(newest.read_bytes()[:100])
    found = checkpoints.newest(tmp_path, torch.device("cpu"))
    assert found is not None and found[0].step == 4


def test_a_full_disk_leaves_nothing_half_written(config, tmp_path, monkeypatch):
    whole = do(config, tmp_path / "whole")
    real, left = lab.run._sync, 0

    def full(path):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path)

    for room in (9, 20):  # files and folders that are still written
        outputs = tmp_path / f"full-{room}"
        left = room
        monkeypatch.setattr(lab.run, "_sync", full)
        with pytest.raises(OSError, match="No space left"):
            do(config, outputs)
        monkeypatch.setattr(lab.run, "_sync", real)
        folder = outputs / "test/inversion"
        assert not list(folder.rglob(".tmp-*"))
        for path in folder.rglob("*.pt"):
            torch.load(path, weights_only=True)
        for path in folder.rglob("*.safetensors"):
            load_embedding(path)
        with (folder / "metrics.jsonl").open("a") as file:
            file.write('{"word": "<w>", "st')  # the last line, torn
        assert results(do(config, outputs)) == results(whole), room


def test_a_loss_that_is_no_number_keeps_the_last_good_word(config, tmp_path, monkeypatch):
    real = learning.train

    def until_it_breaks(*arguments):
        for done, state in real(*arguments):
            if done.step == 5:
                raise UserError("step 5 of the training is not a number")
            yield done, state

    monkeypatch.setattr(learning, "train", until_it_breaks)
    with pytest.raises(UserError, match="not a number"):
        do(config, tmp_path)
    folder = tmp_path / "test/inversion"
    assert json.loads((folder / "manifest.json").read_text())["status"] == "failed"
    assert checkpoints.files(folder / "checkpoints")[-1].name == "step-000004.pt"
    word = load_embedding(folder / "checkpoints/best-w.safetensors")
    assert torch.isfinite(word.vectors).all()


def test_a_list_of_numbers_of_vectors_learns_a_word_for_each(config, tmp_path):
    train = Train(steps=2, batch_size=2)
    many = config.model_copy(update={"num_vectors": (1, 3), "train": train})
    many = many.model_copy(update={"previews": Previews(prompts=("ab [name]",), steps=1)})
    run = do(many, tmp_path)
    for count in (1, 3):
        word = load_embedding(run.folder / f"w-{count}.safetensors")
        assert word.token == f"<w-{count}>" and len(word.vectors) == count
        details = run.folder / f"words/w-{count}"
        for name in ("learned.json", "cost.json", "curves.png", "previews.png"):
            assert (details / name).is_file(), name
    page = (run.folder / "report.html").read_text()
    assert "&lt;w-1&gt;" in page and "&lt;w-3&gt;" in page
    assert not re.search(r"""(src|href)=["']?http""", page)  # it asks nobody
    # a word that was learned is not learned again
    (run.folder / "words/w-3/learned.json").unlink()
    manifest = json.loads((run.folder / "manifest.json").read_text())
    lab.run.write_json(run.folder / "manifest.json", manifest | {"status": "failed"})
    before = (run.folder / "words/w-1/cost.json").stat().st_mtime_ns
    again = do(many, tmp_path)
    assert (again.folder / "words/w-3/learned.json").is_file()
    assert (again.folder / "words/w-1/cost.json").stat().st_mtime_ns == before


def facts(history, best, stopped=None, steps=40):
    return {
        "word": "<w>",
        "steps": steps,
        "planned": 100,
        "stopped": stopped,
        "best_step": best,
        "history": history,
    }


def test_the_ending_is_said_in_a_sentence():
    fell = [[0, 0.3, 0.31], [20, 0.2, 0.25], [40, 0.19, 0.28]]
    said = stopping.how_it_ended(facts(fell, 20, stopped=30))
    assert "enough after step 30 of 100, ended with step 40; the best is step 20" in said
    assert "by heart" in said
    rose = [[0, 0.3, None], [20, 0.4, None]]
    said = stopping.how_it_ended(facts(rose, 20, steps=20))
    assert "all 20 steps" in said and "learned nothing" in said


def test_a_line_of_metrics_has_what_was_measured():
    step = TrainStep(3, 0.5, 1.0, 0.1, Measured(3, 0.4, 0.6, 9.9))
    assert learning.line_of("<w>", step) == {
        "word": "<w>", "step": 3, "loss": 0.5, "norm": 1.0, "learning_rate": 0.1,
        "objective": 0.4, "held_out": 0.6,
    }  # fmt: skip
    assert learning.line_of("<w>", Measured(0, 0.4)) == {"word": "<w>", "step": 0, "objective": 0.4}
