"""The whole job on a tiny random model: complete, resumable, and clear about what is missing."""

import json
import shutil
from decimal import Decimal

import pytest
import torch
from PIL import Image

from cfg import job
from cfg.cells import read_listing
from cfg.config import Config
from cfg.frames import read_frame
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
    open_model = job.open_model

    def counting(*arguments):
        sd = open_model(*arguments)
        sd.unet.register_forward_hook(lambda *_: calls.append(1))
        return sd

    monkeypatch.setattr(job, "open_model", counting)
    return calls


@pytest.fixture
def unshown(monkeypatch):
    """Frames without film and report, which other tests look at: they take most of the time."""
    monkeypatch.setattr(job, "show", lambda config, run, sweep: iter(()))


def swept(outputs, config, stop_after=None):
    """Run the job, or its beginning; its folder and the run."""
    with Run(outputs, "x", "cfg") as run:
        progress = job.run(config, run)
        for count, _ in enumerate(progress):
            if count == stop_after:
                raise KeyboardInterrupt
    return run.folder, run


def pictures(folder):
    frames = folder / "frames"
    return {str(path.relative_to(frames)): path.read_bytes() for path in frames.rglob("*.png")}


def names(*scales):
    return [f"{scale:06.2f}.png" for scale in scales]


def test_everything_is_there_and_a_second_run_does_nothing(tmp_path, configured, evaluations):
    folder, run = swept(tmp_path, configured())
    assert [name.partition("/")[2] for name in sorted(pictures(folder))] == names(
        *(i / 4 for i in range(9))
    )
    # two rows for all at the first step; then 16 rows in calls of four
    assert len(evaluations) == 1 + 4
    for name in ("guidance.mp4", "contact-sheet.png", "curve.png", "sweep.json", "metrics.jsonl"):
        assert (folder / name).stat().st_size > 0
    listing = json.loads((folder / "sweep.json").read_text())
    assert [line["guidance_scale"] for line in listing["frames"]] == [i / 4 for i in range(9)]
    assert all((folder / line["file"]).exists() for line in listing["frames"])
    assert listing["batch_size"] == 4
    assert len(list(read_video(folder / "guidance.mp4"))) == 9
    assert not run.reused
    evaluations.clear()
    assert swept(tmp_path, configured())[1].reused
    assert evaluations == []


@pytest.mark.usefixtures("unshown")
def test_frames_are_clean_native_pictures_that_know_their_scale(tmp_path, configured):
    folder, _ = swept(tmp_path, configured(to=1.0))
    (path,) = folder.glob("frames/*/000.75.png")
    with Image.open(path) as image:
        assert image.size == (32, 32)
        assert image.info["guidance_scale"] == "0.75"
        assert json.loads(image.info["parameters"])["prompt"] == "a cat"


def test_stopped_and_damaged_it_ends_with_the_same_bytes(tmp_path, configured, evaluations):
    whole, _ = swept(tmp_path / "whole", configured())
    with pytest.raises(KeyboardInterrupt):
        swept(tmp_path, configured(), stop_after=6)
    folder = tmp_path / "x" / "cfg"
    begun = sorted((folder / "frames").rglob("*.png"))
    assert 2 < len(begun) < 9
    assert not (folder / "guidance.mp4").exists()
    begun[0].write_bytes(begun[0].read_bytes()[:100])
    begun[1].unlink()
    begun[1].with_name(".tmp-0123.png").write_bytes(b"left by a kill")
    evaluations.clear()
    swept(tmp_path, configured())
    assert pictures(folder) == pictures(whole)
    assert len(evaluations) < 5
    for name in ("guidance.mp4", "contact-sheet.png", "metrics.jsonl", "sweep.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.usefixtures("unshown")
def test_the_first_pictures_are_spread_over_the_range_and_over_all_rules(tmp_path, configured):
    with pytest.raises(KeyboardInterrupt):
        swept(tmp_path, configured(to=8.0, rule=["plain", "apg"]), stop_after=2 * 8 + 1)
    drawn = [sorted(p.name for p in line.iterdir()) for line in (tmp_path / "x").rglob("a-cat-*")]
    assert len(drawn) == 2
    assert all(set(names(*range(9))) <= set(line) for line in drawn)


@pytest.mark.usefixtures("unshown")
def test_frames_removed_from_a_finished_sweep_are_drawn_again(tmp_path, configured, evaluations):
    folder, _ = swept(tmp_path, configured())
    before = pictures(folder)
    next(folder.glob("frames/*/001.25.png")).unlink()
    evaluations.clear()
    swept(tmp_path, configured())
    assert pictures(folder) == before
    assert len(evaluations) == 2


@pytest.mark.usefixtures("unshown")
def test_a_widened_sweep_renders_only_what_is_new(tmp_path, configured, evaluations):
    folder, _ = swept(tmp_path, configured(to=1.75))
    before = pictures(folder)
    evaluations.clear()
    _, run = swept(tmp_path, configured(to=2.75))
    after = pictures(folder)
    assert len(after) == 12
    assert {name: after[name] for name in before} == before
    assert len(evaluations) == 1 + 2  # four new scales: a shared row each, then eight rows
    assert any("8 of 12 frames" in note for note in run.notes)
    evaluations.clear()
    swept(tmp_path, configured(to=2.75, seed=[0, 1]))  # another seed, and the one that is there
    assert len(pictures(folder)) == 24
    assert {name: pictures(folder)[name] for name in after} == after
    finer = configured(to=0.75, step=0.125)
    evaluations.clear()
    swept(tmp_path, finer)
    assert len(pictures(folder)) == 7
    assert len(evaluations) == 1 + 2
    evaluations.clear()
    swept(tmp_path, configured(to=0.75))
    assert evaluations == []
    assert len(pictures(folder)) == 4


@pytest.mark.usefixtures("unshown")
def test_another_seed_prompt_or_rule_is_another_sweep(tmp_path, configured, evaluations):
    settings = {}
    swept(tmp_path, configured(to=0.75))
    for change in (
        {"seed": 1}, {"prompt": "a dog"}, {"steps": 3}, {"negative_prompt": "fog"},
        {"rule": "apg"}, {"rule": {"name": "apg", "eta": 0.5}}, {"batch_size": 3},
    ):  # fmt: skip
        evaluations.clear()
        settings |= change  # one change at a time
        swept(tmp_path, configured(to=0.75, **settings))
        assert evaluations
    evaluations.clear()
    swept(tmp_path, configured(to=0.75, **settings, video={"fps": 7, "size": 64}))
    assert evaluations == []  # another film of the same pictures


@pytest.mark.usefixtures("unshown")
def test_an_adaptive_sweep_draws_some_of_the_dense_ones_frames(tmp_path, configured):
    scales = {"from": 0.0, "to": 4.0, "step": 0.05}
    dense, _ = swept(tmp_path / "dense", configured(guidance_scales=scales))
    sparing = {**scales, "adaptive": True, "threshold": 0.4}
    folder, run = swept(tmp_path, configured(guidance_scales=sparing))
    everything, some = pictures(dense), pictures(folder)
    assert len(some) < len(everything) / 2
    assert {name: everything[name] for name in some} == some
    sweep = read_listing(folder)
    assert (len(sweep.scales), len(sweep.frames), sweep.threshold) == (81, len(some), 0.4)
    assert sweep.frames[-1].index == 80
    assert any(f"{len(some)} of 81 pictures" in note for note in run.notes)
    with pytest.raises(KeyboardInterrupt):
        swept(tmp_path / "again", configured(guidance_scales=sparing), stop_after=7)
    again, _ = swept(tmp_path / "again", configured(guidance_scales=sparing))
    assert pictures(again) == some
    # a lower threshold needs more, and draws nothing twice
    finer, _ = swept(tmp_path, configured(guidance_scales={**sparing, "threshold": 0.2}))
    assert some.items() < pictures(finer).items()


@pytest.mark.usefixtures("unshown")
def test_a_jump_is_reported_and_not_blended(tmp_path, configured):
    """Where neighbours at the smallest step still differ, sweep.json says so."""
    scales = {"from": 0.0, "to": 1.0, "step": 0.25, "adaptive": True, "threshold": 0.01}
    folder, run = swept(tmp_path, configured(guidance_scales=scales))
    jumps = read_listing(folder).jumps
    assert len(jumps) == 4
    assert all(jump.above - jump.below == Decimal("0.25") for jump in jumps)
    assert all(jump.distance > 0.01 for jump in jumps)
    assert any("4 jumps" in note for note in run.notes)


@pytest.mark.usefixtures("unshown")
def test_the_measured_batch_size_is_kept(tmp_path, configured, monkeypatch):
    folder, run = swept(tmp_path, configured(to=0.5, batch_size="auto"))
    kept = json.loads((folder / "batch-size.json").read_text())["batch_size"]
    assert run.manifest["batch_size"] == kept == read_listing(folder).batch_size
    monkeypatch.setattr("cfg.batching.measure", lambda *_: {1: 0.0})
    assert read_listing(swept(tmp_path, configured(batch_size="auto"))[0]).batch_size == kept


@pytest.mark.usefixtures("unshown")
def test_a_dry_run_says_what_is_to_do_and_writes_nothing(tmp_path, configured):
    def forecast(config):
        return " ".join(job.forecast(config, Run(tmp_path, "x", "cfg")))

    said = forecast(configured(batch_size="auto", seed=[1, 2]))
    # 2 lines of 9 scales: 2 x 2 shared rows, and 2 x (7 x 2 + 2) at the second step
    assert "2 x 9 scales" in said
    assert "18 pictures, 36 predictions" in said
    assert list(tmp_path.iterdir()) == []
    swept(tmp_path, configured(seed=1))
    assert "to draw: 9 pictures" in forecast(configured(seed=[1, 2]))
    sparing = {"from": 0.0, "to": 4.0, "step": 0.05, "adaptive": True}
    assert "at least 9 pictures" in forecast(configured(guidance_scales=sparing))
    assert "at most 81 pictures" in forecast(configured(guidance_scales=sparing))
    assert "which the model does not know" in forecast(configured(prompt="a <w>"))


@pytest.mark.usefixtures("unshown")
def test_a_name_stands_for_every_word(tmp_path, configured):
    generator = torch.Generator().manual_seed(0)
    for path, token in (("x/inversion/w.safetensors", "<w>"), ("v.safetensors", "<v>")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        save_embedding(tmp_path / path, token, torch.randn(2, 32, generator=generator))
    words = [str(tmp_path / "v.safetensors")]
    folder, _ = swept(tmp_path, configured(to=0.5, prompt="a cat by [name]", words=words))
    sweep = read_listing(folder)
    assert {line.word for line in sweep.lines} == {"<w>", "<v>"}
    first, second = (read_frame(sweep.of(line)[-1]) for line in sweep.lines)
    assert (first != second).any()
    # a further word leaves the other one's frames where they are
    before = pictures(folder)
    folder, _ = swept(tmp_path, configured(to=0.5, prompt="a cat by [name]"))
    assert pictures(folder).items() < before.items()
    with pytest.raises(UserError, match="no word to stand for it"):
        swept(tmp_path / "empty", configured(prompt="a cat by [name]"))


@pytest.mark.usefixtures("unshown")
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
        ({"analysis": {"match": "./nowhere"}}, "nowhere cannot be loaded"),
        ({"analysis": {"features": "./nowhere"}}, "nowhere cannot be loaded"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(tmp_path, configured, settings, sentence):
    with pytest.raises(UserError, match=sentence):
        swept(tmp_path, configured(**settings))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("unshown")
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


def test_the_film_is_there_in_every_kind_that_was_asked_for(tmp_path, configured):
    kinds = ["mp4", "webm", "gif"]
    folder, run = swept(tmp_path, configured(to=0.5, video={"size": 64, "format": kinds}))
    films = [folder / f"guidance.{kind}" for kind in kinds]
    assert [len(list(read_video(film))) for film in films] == [3, 3, 3]
    assert set(films) <= {path for path, _ in run.shown}
    with pytest.raises(ValueError, match="each once"):
        configured(video={"format": ["gif", "gif"]})
