"""The U-Net of the manga study: 16 x (1, 2, 4, 8) features, 2,430,595 parameters.

No UNet2DModel has this number (the nearest of these features, without attention, has 2,422,963):
it is the network of Rogge & Rasul 2022, "The Annotated Diffusion Model" (Hugging Face), after
lucidrains' denoising-diffusion-pytorch. What it has and diffusers' has not: convolutions with
standardised weights, linear attention at every resolution, and downsampling that moves pixels
into channels.
"""

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import Timesteps
from diffusers.models.unets.unet_2d import UNet2DOutput
from torch import Tensor, nn
from torch.nn import functional as F

HEADS, WIDTH = 4, 32  # of every attention
GROUPS = 4


class _StandardConv(nn.Conv2d):
    """A convolution whose weights have mean 0 and variance 1 for each of its outputs (Qiao et al.
    2019, arXiv:1903.10520)."""

    def forward(self, input: Tensor) -> Tensor:
        variance, mean = torch.var_mean(self.weight, (1, 2, 3), correction=0, keepdim=True)
        weight = (self.weight - mean) * (variance + 1e-5).rsqrt()
        return self._conv_forward(input, weight.to(input.dtype), self.bias)


class _Block(nn.Module):
    def __init__(self, before: int, after: int):
        super().__init__()
        self.conv = _StandardConv(before, after, 3, padding=1)
        self.norm = nn.GroupNorm(GROUPS, after)

    def forward(self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None):
        x = self.norm(self.conv(x))
        if scale is not None and shift is not None:
            x = x * (1 + scale) + shift
        return F.silu(x)


class _Residual(nn.Module):
    """Two convolutions; the time scales and shifts what is between them."""

    def __init__(self, before: int, after: int, time: int):
        super().__init__()
        self.time = nn.Linear(time, 2 * after)
        self.first, self.second = _Block(before, after), _Block(after, after)
        self.skip = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.time(F.silu(time))[:, :, None, None].chunk(2, dim=1)
        return self.second(self.first(x, scale, shift)) + self.skip(x)


class _Attention(nn.Module):
    """x + attention(norm(x)): every place looks at every other, at a cost linear in their number
    (Shen et al. 2018, arXiv:1812.01243), or `full`, quadratic."""

    def __init__(self, features: int, full: bool = False):
        super().__init__()
        self.full = full
        self.norm = nn.GroupNorm(1, features)
        self.qkv = nn.Conv2d(features, 3 * HEADS * WIDTH, 1, bias=False)
        self.out = nn.Conv2d(HEADS * WIDTH, features, 1)
        self.out_norm = nn.Identity() if full else nn.GroupNorm(1, features)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(batch, 3, HEADS, WIDTH, height * width).unbind(1)
        if self.full:
            q, k, v = (part.transpose(-1, -2) for part in (q, k, v))
            seen = F.scaled_dot_product_attention(q, k, v).transpose(-1, -2)
        else:
            context = k.softmax(dim=-1) @ v.transpose(-1, -2)  # [b, heads, key, value]
            seen = context.transpose(-1, -2) @ (q.softmax(dim=-2) * WIDTH**-0.5)
        return x + self.out_norm(self.out(seen.reshape(batch, -1, height, width)))


class AnnotatedUNet(ModelMixin, ConfigMixin):
    """Noisy pictures [n, 3, h, w] and timesteps [n] -> their noise [n, 3, h, w].

    Called and saved like diffusers' UNet2DModel, so that a DDPMPipeline holds it; to load one of
    its folders, diffusers needs this module to be importable.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 32,
        in_channels: int = 3,
        out_channels: int = 3,
        block_out_channels: tuple[int, ...] = (16, 32, 64, 128),
    ):
        super().__init__()
        first = block_out_channels[0]
        time = 4 * first
        self.time = Timesteps(first, flip_sin_to_cos=False, downscale_freq_shift=1)
        self.time_layers = nn.Sequential(nn.Linear(first, time), nn.GELU(), nn.Linear(time, time))
        self.begin = nn.Conv2d(in_channels, first, 1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        befores = (first, *block_out_channels[:-1])
        for number, (a, b) in enumerate(zip(befores, block_out_channels, strict=True), 1):
            is_last = number == len(block_out_channels)
            halve = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * a, b, 1))
            double = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(b, a, 3, padding=1))
            same = nn.Conv2d(a, b, 3, padding=1)
            down = [_Residual(a, a, time), _Residual(a, a, time), _Attention(a)]
            self.down.append(nn.ModuleList([*down, same if is_last else halve]))
            up = [_Residual(a + b, b, time), _Residual(a + b, b, time), _Attention(b)]
            finest = nn.Conv2d(b, a, 3, padding=1)
            self.up.insert(0, nn.ModuleList([*up, finest if number == 1 else double]))
        last = block_out_channels[-1]
        self.middle = nn.ModuleList(
            [_Residual(last, last, time), _Attention(last, full=True), _Residual(last, last, time)]
        )
        self.end = _Residual(2 * first, first, time)
        self.out = nn.Conv2d(first, out_channels, 1)

    def forward(self, sample: Tensor, timestep: Tensor | int, return_dict: bool = True):
        steps = torch.as_tensor(timestep, device=sample.device).expand(len(sample))
        time = self.time_layers(self.time(steps).to(sample.dtype))
        x = begin = self.begin(sample)
        kept: list[Tensor] = []
        for first, second, attend, shrink in self.down:  # pyright: ignore[reportGeneralTypeIssues]
            x = first(x, time)
            kept.append(x)
            x = attend(second(x, time))
            kept.append(x)
            x = shrink(x)
        for layer in self.middle:
            x = layer(x) if isinstance(layer, _Attention) else layer(x, time)
        for first, second, attend, grow in self.up:  # pyright: ignore[reportGeneralTypeIssues]
            x = first(torch.cat([x, kept.pop()], dim=1), time)
            x = attend(second(torch.cat([x, kept.pop()], dim=1), time))
            x = grow(x)
        x = self.out(self.end(torch.cat([x, begin], dim=1), time))
        return UNet2DOutput(sample=x) if return_dict else (x,)
