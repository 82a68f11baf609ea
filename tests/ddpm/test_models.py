"""New models have the sizes that are promised, and keep what they are when saved."""

import pytest
import torch
from diffusers import DDPMPipeline

from ddpm.config import Model, Schedule
from ddpm.loading import load_unconditional
from ddpm.models import new_scheduler, new_unet
from diffusion.schedule import alpha_bars, betas
from lab.errors import UserError


def parameters(unet) -> int:
    return sum(parameter.numel() for parameter in unet.parameters())


def test_the_manga_study_has_its_number_of_parameters():
    assert parameters(new_unet(Model(preset="manga"), 32, 0)) == 2_430_595


def test_the_small_one_is_small():
    assert parameters(new_unet(Model(preset="small"), 32, 0)) == 1_113_955


def test_the_cifar10_one_has_the_number_of_ho_et_al():
    with torch.device("meta"):
        assert parameters(new_unet(Model(preset="cifar10"), 32, 0)) == 35_746_307  # 35.7 M


def test_weights_follow_from_the_seed():
    first, again, other = (new_unet(Model(channels=(8, 8)), 8, seed) for seed in (1, 1, 2))
    state, same = first.state_dict(), again.state_dict()
    assert all(torch.equal(state[name], same[name]) for name in state)
    assert any(not torch.equal(state[name], value) for name, value in other.state_dict().items())


@pytest.mark.parametrize("preset", ["small", "manga", "cifar10"])
def test_a_folder_keeps_the_model_and_diffusers_opens_it(preset, tmp_path):
    unet = new_unet(Model(preset=preset, channels=(8, 16)), 16, 0).eval()
    scheduler = new_scheduler(Schedule(name="linear", timesteps=50, scaled=True))
    DDPMPipeline(unet, scheduler).save_pretrained(tmp_path)
    x, t = (
        torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)),
        torch.tensor([3, 40]),
    )
    loaded, kept = load_unconditional(tmp_path)
    assert torch.equal(loaded(x, t).sample, unet(x, t).sample)
    assert loaded(x, t).sample.shape == x.shape
    assert torch.equal(kept.alphas_cumprod, scheduler.alphas_cumprod)
    assert not any(p.requires_grad for p in loaded.parameters()) and not loaded.training
    drawn = DDPMPipeline.from_pretrained(tmp_path)(num_inference_steps=2, output_type="np")
    assert drawn.images.shape == (1, 16, 16, 3)


def test_the_annotated_one_knows_the_time_and_far_places():
    unet = new_unet(Model(preset="manga", channels=(8, 16)), 16, 0).eval()
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    early, late = unet(x, 1).sample, unet(x, 40).sample
    assert not torch.allclose(early, late)
    moved = x.clone()
    moved[0, :, 0, 0] += 1
    changed = (unet(moved, 1).sample - early).abs().amax(dim=1)
    assert changed[0, -1, -1] > 0 and changed[1].max() == 0  # the other picture is not concerned


def test_pictures_that_cannot_be_halved_are_refused():
    with pytest.raises(UserError, match="multiple of 8"):
        new_unet(Model(preset="manga"), 36, 0)


@pytest.mark.parametrize("name", ["linear", "scaled_linear"])
def test_scaled_betas_leave_as_little_of_the_picture_at_any_T(name):
    left = [
        float(new_scheduler(Schedule(name=name, timesteps=t, scaled=True)).alphas_cumprod[-1])
        for t in (100, 200, 500, 1000)
    ]
    assert all(left[-1] / 4 < one <= left[-1] for one in left)
    unscaled = new_scheduler(Schedule(name="linear", timesteps=200)).alphas_cumprod
    assert float(unscaled[-1]) ** 0.5 == pytest.approx(0.364, abs=1e-3)  # the study's confounder
    torch.testing.assert_close(unscaled, torch.cumprod(1 - betas("linear", 200), 0))


def test_the_scheduler_has_our_schedule():
    scheduler = new_scheduler(Schedule(name="squaredcos_cap_v2", timesteps=77))
    torch.testing.assert_close(alpha_bars(scheduler.config), scheduler.alphas_cumprod)


def test_a_beta_above_one_is_refused():
    with pytest.raises(ValueError, match="should stay below 1"):
        Schedule(name="linear", timesteps=20, scaled=True)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("./missing", "is not there"),
        ("nowhere", "is not there"),
        ("nobody/nothing", "neither a folder here nor in the Hugging Face cache"),
    ],
)
def test_a_model_that_is_not_there(source, sentence):
    with pytest.raises(UserError, match=sentence):
        load_unconditional(source)


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(UserError, match=r"no model_index\.json"):
        load_unconditional(tmp_path)
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(UserError, match="complete DDPMPipeline"):
        load_unconditional(tmp_path)


def test_old_repositories_with_everything_in_one_folder_are_opened(tmp_path):
    """google/ddpm-cifar10-32 and its like have the files of unet/ and scheduler/ at the top."""
    unet = new_unet(Model(channels=(8, 16)), 16, 0)
    DDPMPipeline(unet, new_scheduler(Schedule(timesteps=50))).save_pretrained(tmp_path)
    for path in [*(tmp_path / "unet").iterdir(), *(tmp_path / "scheduler").iterdir()]:
        path.rename(tmp_path / path.name)
    (tmp_path / "unet").rmdir()
    (tmp_path / "scheduler").rmdir()
    loaded, scheduler = load_unconditional(tmp_path)
    assert parameters(loaded) == parameters(unet)
    assert scheduler.config["num_train_timesteps"] == 50
