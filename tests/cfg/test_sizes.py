"""Sweeps of pictures that are not square."""

import json

import numpy as np
import pytest
from PIL import Image

from cfg import job
from cfg.config import Config
from cfg.sampling import sample
from diffusion.stable_diffusion import load
from lab.errors import UserError
from lab.run import Run
from lab.video import read_video


def swept(outputs, tiny_sd_folder, **settings):
    config = Config.model_validate_json(json.dumps({
        "prompt": "a cat", "model": str(tiny_sd_folder), "device": "cpu", "steps": 2,
        "guidance_scales": [0, 1, 4], "batch_size": 2, "video": {"size": 96, "label": False},
        **settings,
    }))  # fmt: skip
    with Run(outputs, "x", "cfg") as run:
        list(job.run(config, run))
    return run.folder


def test_a_frame_is_the_picture_of_its_size_and_the_film_has_its_shape(tmp_path, tiny_sd_folder):
    folder = swept(tmp_path, tiny_sd_folder, width=48, height=32)
    sd = load(str(tiny_sd_folder), device="cpu")
    listing = json.loads((folder / "sweep.json").read_text())["frames"]
    for frame in listing:
        (expected,) = sample(
            sd, ["a cat"], seeds=[0], guidance_scale=frame["guidance_scale"], steps=2,
            width=48, height=32, batch_size=2,
        )  # fmt: skip
        with Image.open(folder / frame["file"]) as image:
            assert image.size == (48, 32)
            assert np.abs(np.asarray(image).astype(int) - expected).max() <= 1
    for shown in read_video(folder / "guidance.mp4"):
        height, width, _ = shown.shape
        assert width == pytest.approx(1.5 * height, rel=0.05)


def test_a_size_is_part_of_what_decides_the_pixels(tmp_path, tiny_sd_folder):
    square = swept(tmp_path, tiny_sd_folder)
    drawn = {path.name for path in (square / "frames").iterdir()}
    wide = swept(tmp_path, tiny_sd_folder, width=48)
    listing = json.loads((wide / "sweep.json").read_text())["frames"]
    assert not {frame["file"].split("/")[1] for frame in listing} & drawn


def test_a_size_that_the_model_cannot_draw_is_refused_at_once(tmp_path, tiny_sd_folder):
    with pytest.raises(UserError, match="multiples of 8 px, not 33 x 32"):
        swept(tmp_path, tiny_sd_folder, width=33)
