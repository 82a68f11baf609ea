"""A film of the denoising: what its frames are, first and last, and that none is lost."""

import numpy as np
import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler
from PIL import Image

from ddpm import job
from ddpm.config import Config, Model, Sample
from ddpm.denoising import denoise, x_T_of
from ddpm.films import filmed_steps, save_frames, saved_frames, tiled, write_film
from ddpm.guide_config import Lead, Loss
from ddpm.guides import colour
from ddpm.learning import decisive
from ddpm.pixels import to_pixels, to_tensor
from ddpm.study_config import Film
from lab.run import Run
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


def config_of(folder, lead=None):
    sample = Sample(count=0, seed=3, steps=4)
    film = Film(pictures=2, formats=("gif",), of="both", hold=0.0, size=32, guide=lead)
    return Config(model=Model(pretrained=str(folder)), sample=sample, film=film)


def run_of(config, outputs):
    """The finished run, and how many frames there were at each step of the filming."""
    there = []
    with Run(outputs, "test", "ddpm") as run:
        for progress in job.run(config, run):
            if progress.stage == "filming":
                names = {path.name for path in (run.folder / "film/frames").glob("*.png")}
                assert names == {f"{k:04}.png" for k in range(len(names))}
                there.append(len(names))
    return run.folder / "film", there


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.fixture(scope="module")
def pipeline(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    DDPMPipeline(*model).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def plain(pipeline, tmp_path_factory):
    return run_of(config_of(pipeline), tmp_path_factory.mktemp("plain"))


def colour_of(scale):
    return Lead(losses=(Loss(loss="colour", target="#3060c0", scale=scale),))


def test_a_step_is_there_to_be_seen_when_it_is_made(plain):
    assert plain[1] == [1, 2, 3, 4, 5]
    assert not (plain[0].parent / "samples").exists()  # none were asked for


def test_a_led_film_has_the_unled_one_beside_it_from_equal_noise(pipeline, plain, tmp_path):
    led, there = run_of(config_of(pipeline, colour_of(0.3)), tmp_path)
    assert there == [1, 2, 3, 4, 5]
    assert files(led / "unguided") == files(plain[0])
    shape = pixels(led / "frames/0000.png").shape
    noise = pixels(led / "frames/0000.png")[:, : shape[1] // 2 - 4]
    np.testing.assert_array_equal(noise, pixels(plain[0] / "frames/0000.png")[:, : noise.shape[1]])
    wanted = colour("#3060c0")
    for seed in (3, 4):
        ends = [pixels(folder / f"pictures/{seed}.png") for folder in (led, led / "unguided")]
        near, far = wanted(to_tensor(np.stack(ends))).tolist()
        assert near < far - 0.05


def test_a_strength_of_zero_is_bitwise_no_guidance(pipeline, plain, tmp_path):
    led, _ = run_of(config_of(pipeline, colour_of(0.0)), tmp_path)
    ours = {name: data for name, data in files(led).items() if not name.startswith("unguided")}
    assert ours == files(plain[0]) == files(led / "unguided")


def test_the_pictures_are_those_of_the_last_frame(plain):
    last = pixels(plain[0] / "frames/0004.png")
    for column, seed in enumerate((3, 4)):
        one = pixels(plain[0] / f"pictures/{seed}.png")
        np.testing.assert_array_equal(last[:8, 10 * column : 10 * column + 8], one)


def test_a_film_without_guidance_has_the_key_that_it_had():
    config = Config(model=Model(pretrained="drawn"), film=Film())
    assert "guide" not in decisive(config)["film"]
    led = Config(model=Model(pretrained="drawn"), film=Film(guide=colour_of(0.3)))
    assert decisive(led)["film"]["guide"]["losses"][0]["scale"] == 0.3
