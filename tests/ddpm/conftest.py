"""What the tests of unconditional models share."""

import pytest
import torch
from diffusers.models.unets.unet_2d import UNet2DModel

from ddpm import data


@pytest.fixture(scope="module", autouse=True)
def one_worker():
    """Pictures are prepared in this process: others begin more slowly than these few are drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "worker_count", lambda *_: 1)
        yield


@pytest.fixture(scope="session")
def tiny_unet():
    """A U-Net for 8 px pictures with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = UNet2DModel(
            sample_size=8, block_out_channels=(8, 8), norm_num_groups=4, layers_per_block=1,
            down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
        )  # fmt: skip
    return unet.eval().requires_grad_(False)
