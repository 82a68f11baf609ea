"""The whole job on a tiny random model: equal noise, resumable, clear about what is missing."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from cfg.sampling import sample
from diffusion.formats import convert, load_embedding, save_embedding
from diffusion.pseudo_word import add_word
from diffusion.stable_diffusion import load
from lab.errors import UserError
from lab.images import KEY, enlarge
from lab.run import Run
from sampling import job
from sampling.config import Config

NAMES = ("<few>", "<many>")


@pytest.fixture
def words(tmp_path):
    """Files of a word of 1 vector and of one of 16."""
    generator = torch.Generator().manual_seed(0)
    paths = []
    for token, count in zip(NAMES, (1, 16), strict=True):
        paths.append(tmp_path / f"{token.strip('<>')}.safetensors")
        save_embedding(paths[-1], token, torch.randn(count, 32, generator=generator))
    return [str(path) for path in paths]


@pytest.fixture
def configured(tiny_sd_folder, words):
    def configure(**settings):
        written = {
            "prompts": ["a cat, [name] style"], "words": words, "seeds": [1, 2, 3],
            "guidance_scales": [2], "steps": 2, "batch_size": 4, "cell": 32, "device": "cpu",
            "model": str(tiny_sd_folder), **settings,
        }  # fmt: skip
        return Config.model_validate_json(json.dumps(written))

    return configure


@pytest.fixture
def batches(monkeypatch):
    """The pictures that are really drawn, a list for each batch."""
    drawn = []

    def counting(sd, prompts, **settings):
        drawn.append(list(zip(prompts, settings["seeds"], strict=True)))
        return sample(sd, prompts, **settings)

    monkeypatch.setattr(job, "sample", counting)
    return drawn


def sampled(outputs, config, stop_after=None):
    with Run(outputs, "x", "sample") as run:
        for count, _ in enumerate(job.run(config, run)):
            if count == stop_after:
                raise KeyboardInterrupt
    return run.folder, run


def pictures(folder):
    return {path.name: path.read_bytes() for path in (folder / "pictures").glob("*.png")}


def listed(folder):
    return json.loads((folder / "pictures.json").read_text())


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_words_are_drawn_from_equal_noise_at_equal_settings(tmp_path, configured, words):
    """Each picture is the sampler's own, whatever was drawn beside it."""
    folder, run = sampled(tmp_path, configured(plain_prompts=["a cat"], guidance_scales=[2, 5]))
    sd = load(str(configured().model), "cpu")
    for path in words:
        word = load_embedding(path)
        add_word(sd, word.token, word.vectors)
    lines = listed(folder)
    assert len(lines) == 3 * 2 * 3
    assert {line["prompt"] for line in lines} == {"a cat", *(f"a cat, {n} style" for n in NAMES)}
    for line in lines[::5]:
        (alone,) = sample(
            sd, [line["prompt"]], seeds=[line["seed"]], guidance_scale=line["guidance_scale"],
            steps=2, batch_size=4,
        )  # fmt: skip
        assert np.array_equal(alone, pixels(folder / line["file"]))
    assert run.read_manifest()["status"] == "complete"


def test_no_bit_depends_on_what_else_is_drawn(tmp_path, configured, words):
    all_of_them, _ = sampled(
        tmp_path / "all",
        configured(prompts=["a dog", "a cat, [name] style"], seeds=[5, 3, 2, 8, 1]),
    )
    few, _ = sampled(tmp_path / "few", configured(words=words[1:], seeds=[3, 1]))
    assert len(pictures(few)) == 2
    assert pictures(few).items() <= pictures(all_of_them).items()


def test_a_second_run_does_nothing_and_a_new_seed_draws_only_itself(tmp_path, configured, batches):
    folder, run = sampled(tmp_path, configured())
    before = pictures(folder)
    assert len(before) == 6 and not run.reused
    batches.clear()
    assert sampled(tmp_path, configured())[1].reused
    assert batches == []
    folder, run = sampled(tmp_path, configured(seeds=[1, 2, 3, 4]))
    drawn = {picture for batch in batches for picture in batch}
    assert {seed for _, seed in drawn} == {4}
    assert before.items() <= pictures(folder).items() and len(pictures(folder)) == 8
    assert any("6 of 8 pictures were there" in note for note in run.notes)


def test_stopped_and_damaged_it_ends_with_the_same_bytes(tmp_path, configured):
    whole, _ = sampled(tmp_path / "whole", configured())
    with pytest.raises(KeyboardInterrupt):
        sampled(tmp_path, configured(), stop_after=3)
    folder = tmp_path / "x" / "sample"
    begun = sorted((folder / "pictures").glob("*.png"))
    assert 0 < len(begun) < 6
    begun[0].write_bytes(begun[0].read_bytes()[:100])
    (folder / "pictures" / "stranger.png").write_bytes(b"of other settings")
    sampled(tmp_path, configured())
    assert pictures(folder) == pictures(whole)
    assert (folder / "a-cat-name-style.png").read_bytes() == (
        whole / "a-cat-name-style.png"
    ).read_bytes()


def test_pictures_removed_from_a_finished_run_are_drawn_again(tmp_path, configured, batches):
    folder, _ = sampled(tmp_path, configured())
    before = pictures(folder)
    first, second, third, *_ = sorted((folder / "pictures").glob("*.png"))
    first.unlink()
    second.write_bytes(third.read_bytes())  # another picture under its name
    batches.clear()
    sampled(tmp_path, configured())
    assert pictures(folder) == before
    assert {seed for batch in batches for _, seed in batch} == {1, 2}


def test_a_grid_has_a_row_for_each_word_and_a_column_for_each_seed(tmp_path, configured):
    cell, gap = 128, 6
    folder, run = sampled(tmp_path, configured(guidance_scales=[1.5, 4], cell=cell))
    shown = {path.name for path, _ in run.shown}
    grids = {f"a-cat-name-style{end}.png" for end in ("_s1.5", "_s4", "_scales")}
    assert shown == {*grids, "pictures", "pictures.json"}
    grid = pixels(folder / "a-cat-name-style_s4.png")
    for line in listed(folder):
        if line["guidance_scale"] == 4:
            x = grid.shape[1] - (4 - line["seed"]) * (cell + gap)
            y = grid.shape[0] - (1 if "<many>" in line["words"] else 2) * (cell + gap)
            there = grid[y : y + cell, x : x + cell]
            expected = enlarge(Image.fromarray(pixels(folder / line["file"])), cell)
            assert np.array_equal(there, np.asarray(expected)), line


def test_pictures_know_what_they_are(tmp_path, configured):
    folder, _ = sampled(tmp_path, configured(negative_prompt="blurry, <few>"))
    line = next(line for line in listed(folder) if "<many>" in line["prompt"])
    assert line["words"] == {"<few>": 1, "<many>": 16}
    with Image.open(folder / line["file"]) as image:
        about = image.info["parameters"].splitlines()
        assert image.info["prompt"] == line["prompt"] and image.info[KEY]
    assert about[0] == "a cat, many style" and about[1] == "Negative prompt: blurry, few"
    assert f"Seed: {line['seed']}, Size: 32x32" in about[2] and "few: " in about[2]


def test_words_of_other_programs_files_are_drawn_the_same(tmp_path, configured, words):
    """Here the word is AUTOMATIC1111's, named without brackets, out of a picture."""
    path = tmp_path / "wildsmith.png"
    convert(load_embedding(words[1]), path, "a1111-png")
    theirs, _ = sampled(tmp_path / "theirs", configured(words=[str(path)]))
    ours, _ = sampled(tmp_path / "ours", configured(words=words[1:]))
    for a, b in zip(listed(theirs), listed(ours), strict=True):
        assert np.array_equal(pixels(theirs / a["file"]), pixels(ours / b["file"]))


def test_the_words_of_this_experiments_inversion_are_found(tmp_path, configured):
    made = tmp_path / "x" / "inversion"
    made.mkdir(parents=True)
    save_embedding(made / "w-2.safetensors", "<w-2>", torch.ones(2, 32))
    folder, _ = sampled(tmp_path, configured(words=[]))
    assert {line["prompt"] for line in listed(folder)} == {"a cat, <w-2> style"}


def test_what_a_long_prompt_loses_is_told(tmp_path, configured):
    """Spelled letter by letter: 60 and 16 vectors are one more than there is room for."""
    prompt = "a" * 59 + " b [name]"
    _, run = sampled(tmp_path, configured(prompts=[prompt], seeds=[1]))
    (note,) = [note for note in run.notes if "longer" in note]
    assert "77 tokens" in note and "<many>" in note
    assert "does not see '<many> (1 of its 16 vectors)'" in note


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"words": []}, r"no word for \[name\].*inversion first, or name embedding files"),
        ({"words": ["gone.pt"]}, "gone.pt: there is no such"),
        ({"prompts": ["a cat by <nobody>"]}, "uses <nobody>"),
        ({"negative_prompt": "<nobody>"}, "uses <nobody>"),
    ],
)
def test_a_missing_word_is_found_before_anything_is_written(
    tmp_path, configured, settings, sentence
):
    with pytest.raises(UserError, match=sentence):
        sampled(tmp_path / "out", configured(**settings))
    assert not (tmp_path / "out").exists()


def test_two_files_with_one_word_are_refused(tmp_path, configured, words):
    save_embedding(tmp_path / "other.safetensors", "<few>", torch.ones(1, 32))
    with pytest.raises(UserError, match=r"both hold the word <few>"):
        sampled(tmp_path, configured(words=[*words, str(tmp_path / "other.safetensors")]))


def test_a_prompt_without_the_name_is_drawn_once(tmp_path, configured):
    folder, _ = sampled(tmp_path, configured(prompts=["a cat by <few>", "a dog"], seeds=[1]))
    assert [line["words"] for line in listed(folder)] == [{"<few>": 1}, {}]


def test_a_word_may_be_led_away_from(tmp_path, configured, words):
    """[name] in the negative prompt: a row for each word, and nothing in the row without."""
    folder, _ = sampled(
        tmp_path, configured(prompts=["a cat"], plain_prompts=["a cat"], negative_prompt="[name]")
    )
    lines = listed(folder)
    assert [list(line["words"]) for line in lines[::3]] == [[], ["<few>"], ["<many>"]]
    sd = load(str(configured().model), "cpu")
    for path in words:
        word = load_embedding(path)
        add_word(sd, word.token, word.vectors)
    for line in lines:
        away = next(iter(line["words"]), "")
        (alone,) = sample(
            sd, ["a cat"], seeds=[line["seed"]], guidance_scale=2, negative_prompt=away, steps=2,
            batch_size=4,
        )  # fmt: skip
        assert np.array_equal(alone, pixels(folder / line["file"]))


def test_the_forecast_counts_what_is_missing_and_writes_nothing(tmp_path, configured):
    config = configured(seeds=[1, 2, 3])

    def forecast(config):
        (sentence,) = job.forecast(config, Run(tmp_path / "out", "x", "sample"))
        return sentence

    assert forecast(config).startswith("6 of 6 pictures to draw, about ")
    assert "inversion first" in forecast(configured(words=[]))
    assert not (tmp_path / "out").exists()
    sampled(tmp_path / "out", configured(seeds=[1]))
    assert forecast(config).startswith("4 of 6 ")
