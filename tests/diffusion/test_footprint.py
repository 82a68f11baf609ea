"""Memory is counted as it is used: closed forms, and the laws that bytes obey."""

import pytest
import torch

from diffusion.architecture import SD1
from diffusion.footprint import (
    bytes_of,
    of_decoding,
    of_prediction,
    of_training,
    peak_of,
)
from diffusion.stable_diffusion import load

KB = 1024


def test_what_lives_at_once_is_counted_and_views_are_not():
    x = torch.zeros(256)  # 1 KB, made before

    def one_after_another() -> torch.Tensor:
        y = x + 1
        y = y + 1  # the first is alive until the second is there
        return y + 1

    assert peak_of(one_after_another) == 2 * KB
    assert peak_of(lambda: [x + k for k in range(5)]) == 5 * KB
    assert peak_of(lambda: x.view(16, 16).t()[3]) == 0
    assert peak_of(lambda: torch.nn.functional.linear(x, torch.zeros(1, 256))) <= KB + 4
    assert peak_of(lambda: (x + 1).add_(1).view(2, 128)) == KB


def test_what_the_backward_pass_needs_is_counted():
    x = torch.ones(256, requires_grad=True)

    def squares() -> None:
        y = x.square().square().square()  # each needs the one before it to go back
        y.sum().backward()

    assert peak_of(squares) >= 4 * KB
    with torch.no_grad():
        assert peak_of(lambda: x.square().square().square()) == 2 * KB


@pytest.fixture(scope="module")
def sd(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu")


def test_content_makes_no_difference(sd):
    """The count with tensors that have no content is that with real ones."""
    x, text = torch.zeros(2, 4, 8, 8), torch.zeros(2, 77, 32)
    with torch.no_grad():
        real = peak_of(lambda: sd.unet(x, 500, encoder_hidden_states=text).sample)
    imagined = of_prediction(sd.unet.config, torch.float32, (2, 4, 8, 8))
    assert imagined.activations == real
    assert imagined.weights == bytes_of(sd.unet)
    with torch.no_grad():
        real = peak_of(lambda: sd.vae.decode(x).sample)
    assert of_decoding(sd.vae.config, torch.float32, (2, 4, 8, 8)).activations == real


def test_more_pictures_and_more_digits_need_more(sd):
    def needed(count: int, dtype: torch.dtype = torch.float32, **settings: bool) -> int:
        return of_training(sd.unet.config, dtype, (count, 4, 8, 8), **settings).activations

    one, two, three = needed(1), needed(2), needed(3)
    assert 0 < one < two < three
    assert abs((three - two) - (two - one)) <= 0.01 * one  # straight, beside what is constant
    assert needed(4, torch.bfloat16) < 0.7 * needed(4)
    assert needed(4, gradient_checkpointing=True) < 0.8 * needed(4)
    assert of_prediction(sd.unet.config, torch.float32, (4, 4, 8, 8)).activations < needed(4)


def test_stable_diffusion_takes_what_its_users_know():
    """1.6 GB of weights in 16 bits: 859,520,964 parameters of 2 bytes each."""
    footprint = of_prediction(SD1.unet, torch.float16, (1, 4, 64, 64))
    assert footprint.weights == 2 * 859_520_964
    assert footprint.activations < 2**30
