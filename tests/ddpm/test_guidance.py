"""Guidance by losses: gradients that are right, a picture's own, and lead where they should."""

from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from PIL import Image
from transformers import CLIPConfig, CLIPModel

from ddpm import guiding
from ddpm.config import Config
from ddpm.denoising import Step, sample
from ddpm.guidance import FORMS, WEIGHTS, guided_by, unit_gradient
from ddpm.guide_config import Loss
from ddpm.guides import LOSSES, SHIFTS, colour, for_encoder, open_clip, shifted, text
from ddpm.guiding import rows_of
from ddpm.pixels import to_pixels, to_tensor
from ddpm.stages import Bench
from ddpm.tables import read_table
from diffusion.process import eps_from_x_0
from lab.errors import UserError
from lab.processes import Processes
from lab.run import Run
from metrics.features import Encoder, read, see

SIDE = 16


@pytest.fixture(scope="module")
def unet():
    blocks: dict[str, Any] = {
        "down_block_types": ("DownBlock2D",) * 2,
        "up_block_types": ("UpBlock2D",) * 2,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = diffusers.UNet2DModel(
            sample_size=SIDE, block_out_channels=(8, 16), norm_num_groups=4, layers_per_block=1,
            **blocks,
        )  # fmt: skip
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def scheduler() -> DDPMScheduler:
    return DDPMScheduler(num_train_timesteps=20, beta_schedule="squaredcos_cap_v2")


class Letters:
    """A tokenizer that turns letters into ids."""

    def __call__(self, texts, max_length, **_):
        ids = [[1 + ord(c) % 29 for c in t][: max_length - 1] for t in texts]
        padded = [[0, *row, *([31] * (max_length - 1 - len(row)))] for row in ids]
        return type("Ids", (), {"input_ids": torch.tensor(padded)})


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """A CLIP with random weights that wants pictures of 24 px."""
    tower = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    said = tower | {"vocab_size": 32, "max_position_embeddings": 12, "eos_token_id": 31}
    seen = tower | {"image_size": 24, "patch_size": 8}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        clip = CLIPModel(CLIPConfig(text_config=said, vision_config=seen, projection_dim=8))
    return Encoder(clip.eval(), Letters(), 24, (0.4, 0.5, 0.6), (0.3, 0.2, 0.25), "random")


def pictures(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand((count, 3, SIDE, SIDE), generator=generator) * 2 - 1


def test_the_colour_s_distance_is_that_of_all_pixels():
    grey = torch.zeros(2, 3, SIDE, SIDE) + torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    torch.testing.assert_close(colour("white")(grey), torch.tensor([0.0, 2.0]))
    half = torch.full((1, 3, SIDE, SIDE), 1.0)
    half[..., : SIDE // 2] = -1
    torch.testing.assert_close(colour("#ffffff")(half), torch.tensor([1.0]))
    torch.testing.assert_close(colour("rgb(255, 0, 0)")(half), torch.tensor([1.0]))


def test_the_text_s_distance_is_half_the_squared_angle_that_clip_sees(encoder):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 3)).astype(np.uint8)
    cosine = (see(encoder, list(pixels)) @ read(encoder, ["a tree"]).T)[:, 0]
    expected = torch.from_numpy(np.arccos(cosine) ** 2 / 2)
    torch.testing.assert_close(text("a tree", encoder)(to_tensor(pixels)), expected)


def test_pictures_of_another_size_are_brought_to_the_encoder_s(encoder):
    uniform = torch.full((1, 3, SIDE, SIDE), 0.5)
    ready = for_encoder(uniform, encoder)
    assert ready.shape == (1, 3, 24, 24)
    expected = [(0.75 - m) / s for m, s in zip(encoder.mean, encoder.std, strict=True)]
    torch.testing.assert_close(ready[0, :, 7, 9], torch.tensor(expected))


def test_several_views_are_the_mean_over_shifted_pictures(encoder):
    some, one = pictures(3), text("a tree", encoder)
    moved = [shifted(some, *shift) for shift in SHIFTS[:3]]
    expected = torch.stack([one(view) for view in moved]).mean(0)
    torch.testing.assert_close(text("a tree", encoder, views=3)(some), expected)
    row = torch.arange(32.0).expand(1, 3, 32, 32)
    torch.testing.assert_close(shifted(row, 2, 0)[..., 2:], row[..., :-2])
    torch.testing.assert_close(shifted(row.mT, 0, -1)[..., :-1, :], row.mT[..., 1:, :])


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_agree_with_finite_differences(name, encoder):
    guide = colour("teal") if name == "colour" else text("a tree", encoder, views=3)
    here = pictures(2)
    inputs = here.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(guide(inputs).sum(), inputs)
    size = gradient.flatten(1).norm(dim=1).view(2, 1, 1, 1)
    there = gradient / size + torch.nn.functional.normalize(pictures(4)[2:], dim=1) / 20
    step = 0.02 * there
    slope = (guide(here + step) - guide(here - step)) / 0.04
    expected = (gradient * there).flatten(1).sum(1)
    torch.testing.assert_close(slope, expected, rtol=0.01, atol=0)
    rms = gradient.flatten(1).square().mean(1).sqrt().view(2, 1, 1, 1)
    torch.testing.assert_close(unit_gradient(guide, here), gradient / rms)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("weight", WEIGHTS)
def test_scale_zero_is_bitwise_the_picture_without_guidance(form, weight, unet, scheduler, encoder):
    seeds = [3, 4]
    plain = sample(unet, scheduler, seeds=seeds, steps=5)
    guides = [(colour("red"), 0.0), (text("a tree", encoder), 0.0)]
    led = sample(unet, scheduler, seeds=seeds, steps=5, guidance=guided_by(guides, form, weight))
    assert torch.equal(plain, led)
    one = guided_by([(colour("red"), 0.2)], form, weight)
    two = guided_by([(colour("red"), 0.2), (text("a tree", encoder), 0.0)], form, weight)
    with_one = sample(unet, scheduler, seeds=seeds, steps=5, guidance=one)
    assert torch.equal(with_one, sample(unet, scheduler, seeds=seeds, steps=5, guidance=two))
    assert not torch.equal(with_one, plain)


def test_a_picture_is_led_alike_alone_and_in_a_batch(unet, scheduler, encoder):
    guides = [(colour("red"), 0.1), (text("a tree", encoder), 0.2)]
    lead: Any = {"steps": 5, "guidance": guided_by(guides)}
    together = sample(unet, scheduler, seeds=[3, 4, 5, 6], **lead)
    for k, seed in enumerate((3, 4, 5, 6)):
        alone = sample(unet, scheduler, seeds=[seed], **lead)
        torch.testing.assert_close(alone[0], together[k], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("weight", ["constant", "noise"])
def test_the_colour_comes_nearer_as_the_scale_rises(form, weight, unet, scheduler):
    guide, distances = colour("#30a060"), []
    for scale in (0, 0.02, 0.05, 0.1, 0.2):
        guidance = guided_by([(guide, scale)], form, weight)
        made = sample(unet, scheduler, seeds=[0, 1, 2], guidance=guidance)
        distances.append(float(guide(made).mean()))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < distances[0] - 0.05


def test_the_text_comes_nearer_as_the_scale_rises(unet, scheduler, encoder):
    guide, distances = text("a tree", encoder), []
    for scale in (0, 0.05, 0.2):
        made = sample(unet, scheduler, seeds=[0, 1], guidance=guided_by([(guide, scale)]))
        distances.append(float(guide(made).mean()))
    assert distances == sorted(distances, reverse=True)


@pytest.mark.parametrize("alpha_bar", [0.02, 0.4, 0.97])
def test_the_eps_form_is_that_of_dhariwal_and_nichol(alpha_bar):
    x_t, x_0 = pictures(2)[:1], pictures(2)[1:]
    a, scale, guide = torch.tensor(alpha_bar), 0.7, colour("navy")
    eps = eps_from_x_0(x_t, x_0, a)
    lead = guided_by([(guide, scale)], "eps", "constant")
    assert lead is not None
    led = eps_from_x_0(x_t, lead(Step(0, 1, 0, alpha_bar, x_t, x_0, eps)), a)
    expected = eps + (1 - a).sqrt() * scale * unit_gradient(guide, x_0)  # their algorithm 2
    torch.testing.assert_close(led, expected, rtol=1e-4, atol=1e-5)


def test_a_picture_at_the_target_is_left_where_it_is():
    there = torch.full((1, 3, SIDE, SIDE), 1.0)
    assert torch.equal(unit_gradient(colour("white"), there), torch.zeros_like(there))


def test_losses_are_shown_alone_and_together():
    losses = [
        Loss(loss="colour", target="red", scale=2),
        Loss(loss="text", target="a tree", scale=3),
    ]
    rows = rows_of(losses, (0, 0.5, 1))
    scales = [row.scales for row in rows]
    assert scales == [(0, 0), (1, 0), (2, 0), (0, 1.5), (0, 3), (1, 1.5), (2, 3)]
    assert rows[0].label(losses) == "no guidance"
    assert rows[-1].label(losses) == "red x 2 + a tree x 3"


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="no colour"):
        Loss(loss="colour", target="a tree")
    with pytest.raises(UserError, match="openai/clip-vit-base-patch32"):
        open_clip("/nowhere/clip")


def test_the_stage_shows_what_was_led_and_draws_nothing_twice(unet, scheduler, tmp_path):
    bench = Bench(unet, scheduler, None, torch.device("cpu"), torch.float32, Processes.alone())
    losses = [
        {"loss": "colour", "target": "teal", "scale": 0.3},
        {"loss": "text", "target": "a house", "scale": 0.3, "views": 2, "family": "houses"},
    ]
    config = Config.model_validate({
        "model": {"pretrained": "drawn"},
        "sample": {"steps": 4, "batch_size": 2, "seed": 9},
        "guide": {"losses": tuple(losses), "strengths": (0, 1), "pictures": 2, "measured": 3},
    })  # fmt: skip
    with Run(tmp_path, "led", "ddpm") as run:
        assert {step.stage for step in guiding.stage(config, run, bench)}
        table = read_table(run.folder / "guide" / "guidance.table.json")
        first = [path.read_bytes() for path in sorted((run.folder / "guide").glob("*.png"))]
        assert list(guiding.stage(config, run, bench)) == []
        again = [path.read_bytes() for path in sorted((run.folder / "guide").glob("*.png"))]
    assert [row[0] for row in table.rows] == [
        "no guidance", "teal x 0.3", "a house x 0.3", "teal x 0.3 + a house x 0.3",
    ]  # fmt: skip
    assert table.columns[2:] == ("distance from teal", "distance from a house", "share of houses")
    figures = np.array([row[2:] for row in table.rows], float)
    assert figures[1, 0] < figures[0, 0] and figures[2, 1] < figures[0, 1]
    assert first == again
    plain = to_pixels(sample(unet, scheduler, seeds=[9, 10], steps=4))
    with Image.open(tmp_path / "led" / "ddpm" / "guide" / "pictures" / "00.png") as image:
        drawn = np.asarray(image).reshape(3, SIDE, SIDE, 3)
    assert np.array_equal(drawn[:2], plain)
