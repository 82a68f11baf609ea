"""Keep a trained unconditional model beside the other networks of the drawn families, in float16.

    python -m storybook.bundle_drawn outputs/drawn-flowers/ddpm/model flowers

writes storybook/drawn/flowers, which experiments call drawn:flowers.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMPipeline

from lab.run import write_json

FOLDER = Path(__file__).parent / "drawn"
CARD = "README.md"
_NOTE = "\nThe weights are kept in float16, half of the bytes of what was trained.\n"


def bundle(model: Path, target: Path) -> None:
    """Write the DDPMPipeline in `model` to `target` in float16, with its card."""
    making = target.with_name(f"{target.name}.part")
    shutil.rmtree(making, ignore_errors=True)
    pipeline: Any = DDPMPipeline.from_pretrained(str(model), local_files_only=True)
    pipeline.unet.to(torch.float16)
    pipeline.save_pretrained(making)
    for file in making.rglob("*.json"):  # what a model is called says where it lay here
        said = json.loads(file.read_text(encoding="utf-8"))
        said.pop("_name_or_path", None)
        write_json(file, said)
    card = (model / CARD).read_text(encoding="utf-8")
    (making / CARD).write_text(card + _NOTE, encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    making.replace(target)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="the folder of a DDPMPipeline")
    parser.add_argument("family", help="the drawn family that it draws, such as flowers")
    arguments = parser.parse_args()
    bundle(arguments.model, FOLDER / arguments.family)


if __name__ == "__main__":
    main()
