"""The pretraining, in small: every stage runs, resumes to the same bits, and ends in a pipeline."""

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import nn

from storybook.architecture import build_autoencoder, build_clip, load_tokenizer, text_encoder_of
from storybook.classifier import load_classifier
from storybook.dataset import draw_dataset, load_dataset
from storybook.illustrator import training_drawing
from storybook.pretrain import Plans, pretrain, save_now
from storybook.train_unet import min_snr_weight
from storybook.training import Plan, fit, learning_rate

QUICK = Plans(
    clip=Plan(2, 8, 1e-3, save_every=1),
    judge=Plan(2, 8, 1e-3, save_every=1),
    autoencoder=Plan(2, 2, 1e-3, save_every=1),
    decoder=Plan(2, 2, 1e-3, save_every=1),
    unet=Plan(2, 2, 1e-3, save_every=1),
)


@pytest.mark.slow
def test_from_nothing_to_a_pipeline_and_again_without_work(tmp_path):
    cpu = torch.device("cpu")
    stages = [progress.stage for progress in pretrain(tmp_path, cpu, 60, QUICK)]
    assert len(set(stages)) == 7
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "model", safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline("a cat", num_inference_steps=2, output_type="np", return_dict=False)[0]
    assert images.shape == (1, 64, 64, 3)
    load_classifier(tmp_path / "classifier.safetensors")
    assert not list(pretrain(tmp_path, cpu, 60, QUICK))  # all is done
    (tmp_path / "unet-final.pt").unlink()
    save_now(tmp_path)
    assert (tmp_path / "model" / "tokenizer" / "merges.txt").exists()


def test_a_dataset_is_what_the_illustrator_draws(tmp_path):
    list(draw_dataset(tmp_path, 30, 64, seed=4))
    data = load_dataset(tmp_path)
    assert data.trained == 27
    for index in (0, 29):
        drawing = training_drawing(4, index)
        assert data.captions[index] == drawing.caption
        assert (data.pictures[index] == drawing.image).all()
        assert data.scenes[index]["subject"] == drawing.scene.subject


def test_the_autoencoder_starts_as_a_block_mean_and_its_enlargement():
    """From an ordinary start it would be grey for hundreds of steps."""
    vae = build_autoencoder().eval()
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 8, 8, generator=generator) * 2 - 1
    picture = nn.functional.interpolate(coarse, scale_factor=8)  # flat areas of 8 x 8
    with torch.no_grad():
        latents = vae.encode(picture).latent_dist.mean
        output = vae.decode(latents).sample
    mean = nn.functional.avg_pool2d(picture, 4)
    for colour in range(3):  # each up to a scale
        for found, wanted in ((latents, mean), (output, picture)):
            pair = torch.stack([found[:, colour].flatten(), wanted[:, colour].flatten()])
            assert torch.corrcoef(pair)[0, 1] > 0.99


def test_the_text_encoder_is_the_tower_of_the_clip(tmp_path):
    from storybook.architecture import train_tokenizer

    train_tokenizer(["a red cat", "a blue house by the sea"], tmp_path, merges=40)
    tokenizer = load_tokenizer(tmp_path)
    clip = build_clip(tokenizer, width=32, layers=1)
    ids = torch.tensor(tokenizer(["a red cat"], padding="max_length").input_ids)
    with torch.no_grad():
        tower = clip.text_model(ids).last_hidden_state
        encoder = text_encoder_of(clip)(ids).last_hidden_state
    assert torch.equal(tower, encoder) and ids.shape == (1, 77)


def test_training_resumes_to_the_same_bits(tmp_path):
    def train(folder, stop=None):
        torch.manual_seed(0)
        model = nn.Linear(3, 3)
        plan = Plan(6, 1, 0.1, warmup=2, save_every=2)
        data = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(1))
        steps = fit("x", model, plan, lambda s: model(data[s]).square().mean(), folder / "c.pt")
        for progress in steps:
            if progress.done == stop:
                return None
        return model.weight.detach()

    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = train(tmp_path / "whole")
    train(tmp_path / "killed", stop=3)
    resumed = train(tmp_path / "killed")
    assert whole is not None and resumed is not None and torch.equal(whole, resumed)


def test_the_rate_warms_up_stays_and_falls_to_zero():
    plan = Plan(100, 1, 1.0, warmup=10, decay=0.4)
    rates = [learning_rate(plan, step) for step in range(101)]
    assert rates[0] == 0.1 and rates[9:61] == [1.0] * 52
    assert rates[61:] == sorted(rates[61:], reverse=True) and rates[100] == pytest.approx(0)


def test_min_snr_weights_against_the_paper():
    """Hang et al. 2023: in epsilon's terms the weight is min(SNR, 5) / SNR."""
    snr = torch.tensor([0.01, 5.0, 50.0])
    torch.testing.assert_close(min_snr_weight(snr / (1 + snr)), torch.tensor([1.0, 1.0, 0.1]))
