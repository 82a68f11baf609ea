"""The job leaves a model that diffusers opens, and continues to the same bytes from anywhere."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMPipeline
from safetensors.torch import load_file

from ddpm import job, learning, looks
from ddpm.checks import notes_of_texts
from ddpm.config import Config, Data, Model, Sample, Schedule, Train
from ddpm.guide_config import Guide, Lead, Loss
from ddpm.learning import decisive, open_model
from ddpm.loading import load_unconditional
from ddpm.measure_config import Measure
from ddpm.study_config import Film, Samplers, Study
from lab import checkpoints
from lab.errors import UserError
from lab.run import Run
from storybook.families import FAMILIES, draw

WEIGHTS = "model/unet/diffusion_pytorch_model.safetensors"


def config_of(**settings: Any) -> Config:
    train = Train(
        steps=6, batch_size=4, validate_every=2, checkpoint_every=2, validation_pictures=4
    )
    said = {
        "data": Data(source="drawn:flowers", count=24, size=8),
        "model": Model(channels=(4, 8)),
        "schedule": Schedule(timesteps=8),
        "train": train,
        "sample": Sample(count=3, batch_size=2, steps=4),
    }
    return Config(**(said | settings))


def do(config, outputs, stop_at: int | None = None) -> Run:
    with Run(outputs, "test", "ddpm") as run:
        steps = job.run(config, run)
        for progress in steps:
            if stop_at is not None and (progress.stage, progress.done) == ("training", stop_at):
                steps.close()
                raise KeyboardInterrupt
    return run


def stopped(config, outputs, at: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        do(config, outputs, at)


def bytes_of(run) -> dict[str, bytes]:
    names = [WEIGHTS, "learned.json", "samples/0.png", "samples.png", "metrics.jsonl"]
    return {name: (run.folder / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return do(config_of(), tmp_path_factory.mktemp("whole"))


def test_diffusers_opens_the_folder_and_the_card_says_what_it_is(finished):
    pipeline = DDPMPipeline.from_pretrained(finished.folder / "model")
    assert pipeline.scheduler.config["num_train_timesteps"] == 8
    assert pipeline(num_inference_steps=2, output_type="np").images.shape == (1, 8, 8, 3)
    card = (finished.folder / "model/README.md").read_text()
    assert card.startswith("---\nlibrary_name: diffusers")
    assert "drawn:flowers" in card and "6 steps of 4 pictures" in card


def test_what_is_there_says_what_happened(finished):
    lines = finished.metrics()
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in lines if "validation" in line] == [2, 4, 6]
    learned = json.loads((finished.folder / "learned.json").read_text())
    assert learned["best_step"] in (2, 4, 6) and len(learned["losses"]) == 6
    assert learned["parameters"] == sum(
        p.numel() for p in load_unconditional(finished.folder / "model")[0].parameters()
    )
    assert len(list((finished.folder / "samples").glob("*.png"))) == 3
    for name in ("training.png", "densities.png", "data.png", "samples.png"):
        assert (finished.folder / name).exists()
    assert not (finished.folder / "checkpoints").exists()


@pytest.mark.parametrize("at", [3, 4])
def test_a_stopped_training_continues_to_the_same_bytes(finished, tmp_path, at):
    stopped(config_of(), tmp_path, at)
    kept = checkpoints.files(tmp_path / "test/ddpm/checkpoints")
    assert kept and not (tmp_path / "test/ddpm/model").exists()
    assert bytes_of(do(config_of(), tmp_path)) == bytes_of(finished)


def test_a_model_that_was_not_declared_finished_is_made_again(finished, tmp_path):
    run = do(config_of(), tmp_path)
    (run.folder / "learned.json").unlink()  # killed just before it was written
    (run.folder / "manifest.json").unlink()
    (run.folder / "model.part").mkdir()
    (run.folder / "model.part/torn").write_text("half a file")
    assert bytes_of(do(config_of(), tmp_path)) == bytes_of(finished)
    assert not (run.folder / "model.part").exists() and not (run.folder / "model/torn").exists()


def test_done_is_done_and_another_way_to_draw_does_not_train_anew(tmp_path, monkeypatch):
    first = do(config_of(), tmp_path)
    told = first.metrics()
    weights = (first.folder / WEIGHTS).stat().st_mtime_ns
    assert do(config_of(), tmp_path).reused
    again = do(config_of(sample=Sample(count=2, batch_size=2, steps=2)), tmp_path)
    assert not again.reused and (first.folder / WEIGHTS).stat().st_mtime_ns == weights
    assert len(list((first.folder / "samples").glob("*.png"))) == 2
    for line, before in zip(again.metrics(), told, strict=True):  # the curves are still there
        assert line == pytest.approx(before, abs=1e-6)
    do(config_of(seed=1, sample=Sample(count=1, batch_size=1, steps=2)), tmp_path)
    assert (first.folder / WEIGHTS).stat().st_mtime_ns != weights


def test_fine_tuning_begins_where_the_other_training_ended(finished, tmp_path):
    slow = Train(steps=1, batch_size=4, learning_rate=1e-12, validate_every=1, ema=0.0)
    model = Model(pretrained=str(finished.folder))
    tuned = do(config_of(model=model, schedule=None, train=slow), tmp_path)
    old, new = load_file(finished.folder / WEIGHTS), load_file(tuned.folder / WEIGHTS)
    for name, value in old.items():
        torch.testing.assert_close(new[name], value)
    card = (tuned.folder / "model/README.md").read_text()
    assert "fine-tuned from" in card and "num_inference_steps=8)" in card
    assert load_unconditional(tuned.folder)[1].config["num_train_timesteps"] == 8  # its own


def test_a_pretrained_model_keeps_what_it_predicts(tmp_path):
    one = config_of(model=Model(channels=(4, 8), prediction="v_prediction"))
    first = do(one, tmp_path)
    model, schedule = Model(pretrained=str(first.folder)), Schedule(timesteps=6)
    again = open_model(config_of(model=model, schedule=schedule), torch.device("cpu"))[1]
    assert again.config["prediction_type"] == "v_prediction"
    assert again.config["num_train_timesteps"] == 6


def test_a_later_setting_does_not_train_anew_what_it_leaves_as_it_was():
    assert "prediction" not in decisive(config_of())["model"]
    other = config_of(model=Model(channels=(4, 8), prediction="v_prediction"))
    assert decisive(other)["model"]["prediction"] == "v_prediction"


def test_a_model_is_used_as_it_is_without_data(finished, tmp_path):
    config = Config(model=Model(pretrained=str(finished.folder)), sample=config_of().sample)
    run = do(config, tmp_path)
    for name in ("samples/0.png", "samples.png"):
        assert (run.folder / name).read_bytes() == (finished.folder / name).read_bytes()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"data": Data(source="/nowhere", size=8)}, "does not exist"),
        ({"data": Data(source="drawn:flowers", size=12, count=8), "model": Model(preset="manga")},
         "multiple of 8"),
        ({"model": Model(pretrained="./none")}, "is not there"),
        ({"device": "cuda:7"}, "is not here"),
        ({"sample": Sample(steps=9)}, "the model knows 8 timesteps"),
        ({"measure": Measure(extractor="clip:./none")}, "none"),
        ({"measure": Measure(beside=("nowhere",))}, "measure that run first"),
        ({"study": Study(extractor="drwan", samplers=Samplers())}, "did you mean drawn"),
        ({"guide": Guide(losses=(Loss(loss="text", target="a tree", family="tree"),))},
         "knows no tree; did you mean trees"),
        ({"film": Film(guide=Lead(losses=(Loss(loss="text", target="a", clip="./none"),)))},
         "none"),
    ],
)  # fmt: skip
def test_mistakes_are_found_before_anything_is_written(settings, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        do(config_of(**settings), tmp_path)
    assert not (tmp_path / "test").exists()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"measure": Measure(count=5)}, "needs 10 test pictures"),
        ({"study": Study(extractor="drawn", samplers=Samplers())}, "there are 2: raise"),
    ],
)
def test_too_few_pictures_are_found_before_the_training(settings, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        do(config_of(**settings), tmp_path)
    assert not (tmp_path / "test/ddpm/metrics.jsonl").exists()


def test_words_that_the_bundled_clip_never_read_are_named():
    def notes(**loss):
        return notes_of_texts(Config(
            model=Model(pretrained="drawn"), guide=Guide(losses=(Loss(loss="text", **loss),))
        ))  # fmt: skip

    (said,) = notes(target="a striped zebra, at night")
    assert "never read" in said and "zebra" in said and " at" not in said.partition("read")[2]
    assert notes(target="A blue flower") == []
    assert notes(target="a zebra", clip="openai/clip-vit-base-patch32") == []
    red = Config(model=Model(pretrained="drawn"), guide=Guide(losses=(Loss(target="red"),)))
    assert notes_of_texts(red) == []


def test_every_word_of_a_drawn_caption_is_known():
    for family in FAMILIES:
        caption = draw(family, 0, size=8)[1]
        losses = (Loss(loss="text", target=caption),)
        config = Config(model=Model(pretrained="drawn"), guide=Guide(losses=losses))
        assert notes_of_texts(config) == [], caption


def test_pretrained_models_of_another_size_are_refused(finished, tmp_path):
    settings = {"model": Model(pretrained=str(finished.folder)), "schedule": None}
    data = Data(source="drawn:flowers", count=24, size=16)
    with pytest.raises(UserError, match=r"8 px: set ddpm.data.size to that, not 16"):
        do(config_of(**settings, data=data), tmp_path)


def test_nothing_to_learn_is_refused():
    with pytest.raises(ValueError, match="nothing to learn"):
        Config()
    with pytest.raises(ValueError, match="data is missing"):
        Config(train=Train())


def test_densities_are_densities():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    density = looks.densities(pixels)
    assert density.shape == (3, 64)
    np.testing.assert_allclose(density.sum(axis=1) * 4, 1)
    dark = looks.densities(np.zeros((2, 4, 4, 3), np.uint8))
    assert (dark[:, 0] == 0.25).all() and not dark[:, 1:].any()


def test_a_running_mean_is_one():
    np.testing.assert_allclose(looks.running_mean([1, 2, 3, 4], 0.5), [1, 1.5, 2.5, 3.5])


def test_the_training_looks_at_no_test_picture(finished, tmp_path, monkeypatch):
    """Other test pictures, same weights."""
    plain = learning.Trainer

    def blind(unet, scheduler, pictures, *others):
        pixels = np.array(pictures.pixels)
        pixels[list(pictures.test)] = 0
        return plain(unet, scheduler, replace(pictures, pixels=pixels), *others)

    monkeypatch.setattr(learning, "Trainer", blind)
    run = do(config_of(), tmp_path)
    assert (run.folder / WEIGHTS).read_bytes() == (finished.folder / WEIGHTS).read_bytes()
