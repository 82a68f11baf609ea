"""A film of the denoising: what its frames are, first and last, and that none is lost."""

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from PIL import Image

from ddpm.denoising import denoise, x_T_of
from ddpm.films import filmed_steps, save_frames, saved_frames, tiled, write_film
from ddpm.pixels import to_pixels, to_tensor
from ddpm.study_config import Film
from lab.video import count_frames, read_video


@pytest.fixture(scope="module")
def model(tiny_unet):
    return tiny_unet, DDPMScheduler(num_train_timesteps=10)


def filmed(model, folder, **settings):
    steps = list(denoise(*model, seeds=range(5)))
    for _ in save_frames(iter(steps), folder, **settings):
        pass
    return steps, [folder / line["file"] for line in saved_frames(folder)]


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_the_first_frame_is_x_T_and_the_last_the_sample(model, tmp_path):
    steps, frames = filmed(model, tmp_path)
    assert len(frames) == 11
    x_T = x_T_of(model[0], range(5))
    np.testing.assert_array_equal(pixels(frames[0]), tiled(to_pixels(x_T), 3))
    np.testing.assert_array_equal(pixels(frames[-1]), tiled(to_pixels(steps[-1].x_t), 3))
    listing = saved_frames(tmp_path)
    assert [line["timestep"] for line in listing] == [*range(9, -1, -1), -1]


def test_of_many_steps_the_ends_are_always_there(model, tmp_path):
    _, frames = filmed(model, tmp_path, most=4)
    assert [line["step"] for line in saved_frames(tmp_path)] == [0, 3, 7, 10]
    assert len(frames) == 4
    for count, most in ((1000, 120), (50, 120), (2, 2), (1, 2), (7, 7)):
        chosen = filmed_steps(count, most)
        assert chosen[0] == 0 and chosen[-1] == count
        assert chosen == sorted(set(chosen)) and len(chosen) == min(most, count + 1)


def test_both_stand_side_by_side(model, tmp_path):
    steps, frames = filmed(model, tmp_path, of="both")
    half = tiled(to_pixels(steps[4].x_t), 3)
    whole = pixels(frames[4])
    np.testing.assert_array_equal(whole[:, : half.shape[1]], half)
    np.testing.assert_array_equal(whole[:, -half.shape[1] :], tiled(to_pixels(steps[4].x_0), 3))


def test_frames_without_their_listing_are_unfinished(model, tmp_path):
    steps = denoise(*model, seeds=[0])
    for progress in save_frames(steps, tmp_path):
        if progress.done == 5:
            break
    assert len(list(tmp_path.glob("*.png"))) == 6
    assert saved_frames(tmp_path) == []


@pytest.mark.parametrize("suffix", ["gif", "mp4"])
def test_a_film_holds_every_frame_once_and_its_last_one_longer(tmp_path, suffix):
    paths = []
    for k in range(6):
        paths.append(tmp_path / f"{k}.png")
        Image.new("RGB", (20, 10), (40 * k, 40 * k, 40 * k)).save(paths[-1])
    settings = Film(fps=10, hold=0.4, size=64)
    write_film(paths, tmp_path / f"film.{suffix}", settings)
    assert count_frames(tmp_path / f"film.{suffix}") == 6 + 4
    shown = list(read_video(tmp_path / f"film.{suffix}"))
    assert shown[0].shape == (30, 60, 3)  # a whole number of times as large
    assert [round(frame.mean() / 40) for frame in shown] == [0, 1, 2, 3, 4, 5, 5, 5, 5, 5]


def test_pixels_come_back_and_what_is_outside_is_cut_off():
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    np.testing.assert_array_equal(to_pixels(to_tensor(every)), every)
    assert to_tensor(every).min() == -1 and to_tensor(every).max() == 1
    outside = torch.tensor([-7.0, 7.0]).reshape(1, 1, 1, 2).expand(1, 3, 1, 2)
    assert to_pixels(outside).tolist() == [[[[0, 0, 0], [255, 255, 255]]]]
