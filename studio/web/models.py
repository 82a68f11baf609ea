"""Which Stable Diffusion models there are to choose from."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from huggingface_hub.constants import HF_HUB_CACHE

from studio.web.places import Places, short

MOST = 60
LARGE = 200_000_000  # bytes, from which a .safetensors file is a model and no word

Choice = tuple[str, str]
"""What a choice is called, and the value that it stands for."""


def model_choices(places: Places) -> list[Choice]:
    """The models that are at hand: the bundled one, those in the folders, those of the cache."""
    found: list[Choice] = [("storybook (comes with the program)", "storybook")]
    for root in places.roots:
        if root != places.outputs:
            found += [(str(short(path)), str(short(path))) for path in islice(_models(root), MOST)]
    for index in sorted(Path(HF_HUB_CACHE).glob("models--*/snapshots/*/model_index.json")):
        hub_id = index.parents[2].name.removeprefix("models--").replace("--", "/")
        found.append((hub_id, hub_id))
    return list(dict.fromkeys(found))


def _models(root: Path) -> Iterator[Path]:
    for pattern in ("model_index.json", "*/model_index.json", "*/*/model_index.json"):
        yield from (path.parent for path in sorted(root.glob(pattern)))
    for pattern in ("*.safetensors", "*.ckpt", "*/*.safetensors", "*/*.ckpt"):
        yield from (path for path in sorted(root.glob(pattern)) if path.stat().st_size > LARGE)
