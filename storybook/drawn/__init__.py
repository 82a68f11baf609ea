"""What is shipped for the drawn families: a small network that knows them, and a small CLIP.

Both were trained by `python -m storybook.train_drawn` on drawn pictures alone, which is why nothing
measured with them is comparable to FID or a CLIP score: their names always stand beside the figure.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lab.run import write_atomically
from metrics.features import Encoder, load_encoder

SIDE = 32  # px that both networks see
DRAWNNET = Path(__file__).parent / "drawnnet.safetensors"
CLIP = Path(__file__).parent / "clip"


class DrawnNet(nn.Module):
    """Pictures [n, 3, h, w] in -1..1 -> 64 features each; and which family that looks like.

    It judges what guidance made and is the offline feature extractor of distances (FD-drawn64).
    """

    num_features = 64

    def __init__(self, families: tuple[str, ...]):
        super().__init__()
        self.families = families
        layers: list[nn.Module] = []
        for into, out, stride in ((3, 24, 1), (24, 48, 2), (48, 64, 2), (64, 64, 2)):
            layers += [nn.Conv2d(into, out, 3, stride, 1), nn.GroupNorm(8, out), nn.SiLU()]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(self.num_features, len(families))

    def forward(self, pictures: Tensor) -> Tensor:
        """Features [n, 64] of pictures of any size, which are seen at 32 px."""
        if pictures.shape[-2:] != (SIDE, SIDE):
            pictures = F.interpolate(
                pictures, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False
            )
        return self.body(pictures)

    @torch.no_grad()
    def classify(self, pictures: Tensor) -> list[str]:
        """The family that each picture most looks like."""
        return [self.families[k] for k in self.head(self(pictures)).argmax(1).tolist()]


def save_drawnnet(net: DrawnNet, path: Path = DRAWNNET) -> None:
    """Write the weights in float16, and the families they know."""
    tensors = {k: v.half().contiguous() for k, v in net.state_dict().items()}
    note = {"families": " ".join(net.families)}
    write_atomically(path, lambda p: save_file(tensors, p, metadata=note))


def load_drawnnet(path: Path = DRAWNNET) -> DrawnNet:
    """The shipped network, on the CPU, in evaluation mode, without gradients of its own."""
    with safe_open(str(path), framework="pt") as file:
        net = DrawnNet(tuple((file.metadata() or {})["families"].split()))
        net.load_state_dict({key: file.get_tensor(key).float() for key in file.keys()})  # noqa: SIM118
    return net.eval().requires_grad_(False)


def load_drawn_clip(path: Path = CLIP) -> Encoder:
    """The shipped CLIP: a real CLIPModel with its tokenizer, on the CPU."""
    return load_encoder(path)
