"""The whole job on a tiny random model: complete, resumable, and clear about what is missing."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from cfg import job, sheet, sweep
from cfg.config import Config, exact_scales
from cfg.sweep import KEY
from diffusion.formats import save_embedding
from lab.errors import UserError
from lab.run import Run
from lab.video import read_video


@pytest.fixture
def configured(tiny_sd_folder):
    def configure(to=2.0, step=0.25, **settings):
        written = {
            "prompt": "a cat",
            "guidance_scales": {"from": 0.0, "to": to, "step": step},
            "model": str(tiny_sd_folder),
            "device": "cpu",
            "steps": 2,
            "batch_size": 4,
            "video": {"size": 64},
            **settings,
        }
        return Config.model_validate_json(json.dumps(written))

    return configure


@pytest.fixture
def evaluations(monkeypatch):
    """Counts the U-Net's evaluations."""
    calls = []
    load = job.load

    def counting_load(*arguments):
        sd = load(*arguments)
        sd.unet.register_forward_hook(lambda *_: calls.append(1))
        return sd

    monkeypatch.setattr(job, "load", counting_load)
    return calls


def swept(outputs, config, stop_after=None):
    """Run the job, or its beginning; its folder and the run."""
    with Run(outputs, "x", "cfg") as run:
        progress = job.run(config, run)
        for count, _ in enumerate(progress):
            if count == stop_after:
                raise KeyboardInterrupt
    return run.folder, run


def pictures(folder):
    return {path.name: path.read_bytes() for path in (folder / "frames").glob("*.png")}


def test_everything_is_there_and_a_second_run_does_nothing(tmp_path, configured, evaluations):
    folder, run = swept(tmp_path, configured())
    assert sorted(pictures(folder)) == [f"{i:06}.png" for i in range(9)]
    assert len(evaluations) == 3 * 2 * 2  # chunks, steps, predictions
    for name in ("guidance.mp4", "contact-sheet.png", "curve.png", "sweep.json", "metrics.jsonl"):
        assert (folder / name).stat().st_size > 0
    listing = json.loads((folder / "sweep.json").read_text())
    assert [line["guidance_scale"] for line in listing["frames"]] == [i / 4 for i in range(9)]
    assert all((folder / line["file"]).exists() for line in listing["frames"])
    assert not run.reused
    evaluations.clear()
    assert swept(tmp_path, configured())[1].reused
    assert evaluations == []


def test_frames_are_clean_native_pictures_that_know_their_scale(tmp_path, configured):
    folder, _ = swept(tmp_path, configured(to=1.0))
    with Image.open(folder / "frames" / "000003.png") as image:
        assert image.size == (32, 32)
        assert image.info["guidance_scale"] == "0.75"
        assert json.loads(image.info["parameters"])["prompt"] == "a cat"


def test_metrics_say_how_far_each_picture_is_from_the_one_before(tmp_path, configured):
    folder, run = swept(tmp_path, configured(to=1.0))
    lines = run.metrics()
    assert [line["index"] for line in lines] == [0, 1, 2, 3, 4]
    assert lines[0]["distance"] is None
    images = [Image.open(folder / "frames" / f"{i:06}.png") for i in (1, 2)]
    before, after = (np.asarray(image, np.float64) for image in images)
    expected = ((after - before) ** 2).mean() ** 0.5 / 255
    assert lines[2]["distance"] == pytest.approx(expected)
    assert lines[2]["saturation"] == pytest.approx((after.max(2) - after.min(2)).mean() / 255)


def test_stopped_and_damaged_it_ends_with_the_same_bytes(tmp_path, configured, evaluations):
    whole, _ = swept(tmp_path / "whole", configured())
    with pytest.raises(KeyboardInterrupt):
        swept(tmp_path, configured(), stop_after=6)
    folder = tmp_path / "x" / "cfg"
    begun = pictures(folder)
    assert 0 < len(begun) < 9
    assert not (folder / "guidance.mp4").exists()
    torn = folder / "frames" / "000001.png"
    torn.write_bytes(torn.read_bytes()[:100])
    (folder / "frames" / "000002.png").unlink()
    (folder / "frames" / ".tmp-0123.png").write_bytes(b"left by a kill")
    evaluations.clear()
    swept(tmp_path, configured())
    assert pictures(folder) == pictures(whole)
    assert len(evaluations) < 3 * 2 * 2 + 1
    for name in ("guidance.mp4", "contact-sheet.png", "metrics.jsonl"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_frames_removed_from_a_finished_sweep_are_drawn_again(tmp_path, configured, evaluations):
    folder, _ = swept(tmp_path, configured())
    before = pictures(folder)
    (folder / "frames" / "000005.png").unlink()
    evaluations.clear()
    swept(tmp_path, configured())
    assert pictures(folder) == before
    assert len(evaluations) == 1 * 2 * 2


def test_a_widened_sweep_renders_only_what_is_new(tmp_path, configured, evaluations):
    folder, _ = swept(tmp_path, configured(to=1.75))  # eight frames, two chunks
    before = pictures(folder)
    evaluations.clear()
    _, run = swept(tmp_path, configured(to=2.75))
    after = pictures(folder)
    assert len(after) == 12
    assert {name: after[name] for name in before} == before
    assert len(evaluations) == 1 * 2 * 2
    assert any("8 of 12 frames" in note for note in run.notes)
    evaluations.clear()
    swept(tmp_path, configured(to=0.75))
    assert evaluations == []
    assert sorted(pictures(folder)) == [f"{i:06}.png" for i in range(4)]
    assert len(list(read_video(folder / "guidance.mp4"))) == 4


def test_another_seed_prompt_or_weight_is_another_sweep(tmp_path, configured, evaluations):
    settings = {}
    swept(tmp_path, configured(to=0.75))
    for change in ({"seed": 1}, {"prompt": "a dog"}, {"steps": 3}, {"negative_prompt": "fog"}):
        evaluations.clear()
        settings |= change  # one change at a time
        swept(tmp_path, configured(to=0.75, **settings))
        assert evaluations
    evaluations.clear()
    swept(tmp_path, configured(to=0.75, **settings, video={"fps": 7, "size": 64}))
    assert evaluations == []  # another film of the same pictures


def test_the_film_shows_every_scale_exactly_once(tmp_path, configured, monkeypatch):
    """1,001 frames that carry their index in binary, read back from the file."""

    def coded(index):
        bits = [255 * (index >> bit & 1) for bit in range(16)]
        return np.repeat(np.repeat(np.array(bits, np.uint8)[None, :, None], 3, axis=2), 4, axis=1)

    def drawing_codes(sd, chunks, config):
        for chunk in chunks:
            for frame in filter(None, chunk):
                image = Image.fromarray(np.repeat(coded(frame.index), 32, axis=0))
                image.save(frame.path, pnginfo=_text({KEY: frame.key}))
            yield sweep.Rendered(0, 0, 0)

    monkeypatch.setattr(sweep, "render", drawing_codes)
    folder, _ = swept(tmp_path, configured(to=20.0, step=0.02))
    seen = []
    for picture in read_video(folder / "guidance.mp4"):
        bits = picture[16, 2:64:4].mean(axis=1) > 127
        seen.append(sum(int(bit) << place for place, bit in enumerate(bits)))
    assert seen == list(range(1001))


def _text(chunks):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, value in chunks.items():
        info.add_text(key, value)
    return info


def test_the_scale_is_written_below_the_picture_and_not_on_it(tmp_path, configured):
    folder, _ = swept(tmp_path, configured(to=0.5))
    film = list(read_video(folder / "guidance.mp4"))
    assert film[0].shape == (64 + 36, 64, 3)
    plain, _ = swept(tmp_path / "plain", configured(to=0.5, video={"size": 64, "label": False}))
    assert next(read_video(plain / "guidance.mp4")).shape == (64, 64, 3)
    assert pictures(plain) == pictures(folder)


def test_a_selection_has_both_ends_and_zero_and_one(tmp_path, configured):
    scales = exact_scales(configured(to=20.0, step=0.02).guidance_scales)
    planned = sweep.frames_of([scale - 1 for scale in scales], tmp_path, {})
    chosen = sheet.choose(planned, 24)
    assert 23 <= len(chosen) <= 26
    assert {-1, 0, 1, 19} <= {float(frame.scale) for frame in chosen}
    assert [frame.index for frame in chosen] == sorted({frame.index for frame in chosen})
    assert sheet.choose(planned[:5], 24) == list(planned[:5])


def test_words_of_the_inversion_and_of_other_files_can_be_used(tmp_path, configured):
    generator = torch.Generator().manual_seed(0)
    for path, token in (("x/inversion/w.safetensors", "<w>"), ("v.safetensors", "<v>")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        save_embedding(tmp_path / path, token, torch.randn(2, 32, generator=generator))
    words = [str(tmp_path / "v.safetensors")]
    folder, run = swept(tmp_path, configured(to=0.75, prompt="<v> by <w>", words=words))
    assert set(run.manifest["words"]) == {"<w>", "<v>"}
    first = pictures(folder)
    save_embedding(tmp_path / "v.safetensors", "<v>", torch.randn(2, 32, generator=generator))
    swept(tmp_path, configured(to=0.75, prompt="<v> by <w>", words=words))
    assert pictures(folder) != first
    save_embedding(tmp_path / "v.safetensors", "<w>", torch.randn(2, 32, generator=generator))
    with pytest.raises(UserError, match="both hold the word <w>"):
        swept(tmp_path, configured(prompt="<w>", words=words))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model": "./nowhere"}, "nowhere is not there"),
        ({"prompt": "a cat by <w>"}, "uses <w>, which the model does not know"),
        ({"words": ["nowhere.safetensors"]}, "no such embedding file"),
        ({"device": "cuda:7"}, "cuda:7 is not here"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(tmp_path, configured, settings, sentence):
    with pytest.raises(UserError, match=sentence):
        swept(tmp_path, configured(**settings))
    assert list(tmp_path.iterdir()) == []


def test_a_prompt_that_is_too_long_is_named_with_what_is_lost(tmp_path, configured):
    _, run = swept(tmp_path, configured(to=0.25, prompt="a" * 75 + " dragon"))
    assert any("77 tokens" in note and "'dragon'" in note for note in run.notes)


def test_a_broken_model_leaves_the_account_of_why(tmp_path, configured, tiny_sd_folder):
    broken = tmp_path / "broken"
    shutil.copytree(tiny_sd_folder, broken)
    (broken / "vae" / "config.json").write_text("{")
    with pytest.raises(UserError, match="cannot be loaded"):
        swept(tmp_path, configured(model=str(broken)))
    manifest = json.loads((tmp_path / "x" / "cfg" / "manifest.json").read_text())
    assert manifest["status"] == "failed"


def test_one_scale_is_a_sweep_too(tmp_path, configured):
    folder, _ = swept(tmp_path, configured(guidance_scales=[7.5]))
    assert len(list(read_video(folder / "guidance.mp4"))) == 1
