"""The whole job on random weights: Stable Diffusion's classes, a CLIP for a judge."""

import json
import re
import shutil

import numpy as np
import pytest
import torch

from cfg.sampling import sample
from diffusion.formats import load_embedding, save_embedding
from diffusion.pseudo_word import add_word
from diffusion.stable_diffusion import load
from lab.errors import UserError
from lab.run import Run
from skew import drawing, job
from skew.config import Config
from skew.looking import pixels
from studio.cli import main


@pytest.fixture(scope="module")
def word(tmp_path_factory):
    """What was learned for a word that this tokenizer spells: three vectors."""
    path = tmp_path_factory.mktemp("word") / "doc.safetensors"
    rows = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    save_embedding(path, "doc", rows)
    return path


@pytest.fixture
def written(tiny_sd_folder, tiny_clip_folder, word):
    def write(**settings):
        return {
            "word": "doc", "embedding": str(word), "attribute": "gender", "undecided": 0,
            "judge": f"clip:{tiny_clip_folder}", "model": str(tiny_sd_folder), "device": "cpu",
            "values": {"female": ["a woman", "she"], "male": ["a man", "he"]},
            "subjects": ["doc", "cook"], "prompts": ["a doc", "a doc at work"],
            "explicit": {"prompts": ["a [value] doc"], "count": 2},
            "bystanders": {"prompts": ["a cook", "docs"], "count": 2},
            "seeds": {"start": 5, "count": 6}, "steps": 2, "batch_size": 4,
            "sweep": {"strengths": [0.5], "count": 3, "explicit": 1},
            "compare": {"count": 4, "guidance_scales": [1]}, **settings,
        }  # fmt: skip

    return write


def measured(outputs, settings, name="x", stop_after=None):
    config = Config.model_validate_json(json.dumps(settings))
    with Run(outputs, name, "skew") as run:
        for count, _ in enumerate(job.run(config, run)):
            if count == stop_after:
                raise KeyboardInterrupt
    return run.folder, run


def made(folder):
    """Every picture and figure; pages and manifests have times in them."""
    files = [p for p in folder.rglob("*") if p.suffix in (".png", ".json", ".html")]
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in files if p.name != "manifest.json"
    }


@pytest.fixture
def drawn(monkeypatch):
    """The prompts and seeds of the pictures that are really drawn."""
    found = []

    def counting(sd, prompts, **settings):
        found.extend(zip(prompts, settings["seeds"], strict=True))
        return sample(sd, prompts, **settings)

    monkeypatch.setattr(drawing, "sample", counting)
    return found


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture
def whole(outputs, written):
    """The run that the tests look at; it is made once and then found complete."""
    return measured(outputs, written())[0]


def facts(folder):
    return json.loads((folder / "skew.json").read_text())


def test_before_is_the_untouched_model_and_after_the_learned_word(whole, written, word):
    """Each picture is the sampler's own, whatever was drawn beside it."""
    for strength in (0, 1):
        sd = load(written()["model"], "cpu")
        if strength:
            add_word(sd, "doc", load_embedding(word).vectors)
        prompts, seeds = ["a doc", "a doc at work"], [7, 8]
        drawn = sample(sd, prompts, seeds=seeds, guidance_scale=2, steps=2, batch_size=4)
        for prompt, seed, expected in zip(prompts, seeds, drawn, strict=True):
            name = f"neutral-{strength}/{seed}-{prompt.replace(' ', '-')}.png"
            assert np.array_equal(pixels(whole / "pictures" / name), expected), name


def test_what_is_without_the_word_is_drawn_twice_and_equal_in_every_bit(whole):
    lines = facts(whole)["bystanders"]
    assert [one["prompt"] for one in lines] == ["a cook", "docs"]
    assert all(one["equal"] == one["pictures"] == 2 and one["distance"] == 0 for one in lines)
    folders = [whole / "pictures" / f"bystanders-{strength}" for strength in (0, 1)]
    one, other = ({p.stat().st_ino for p in folder.iterdir()} for folder in folders)
    assert len(one) == 4 and not one & other  # two files each: none stands for the other


def test_the_figures_are_of_the_pictures_that_are_listed(whole):
    found, listed = facts(whole), json.loads((whole / "pictures.json").read_text())
    for name, one in found["series"].items():
        shown = [line["shows"] for line in listed if line["file"].startswith(f"pictures/{name}/")]
        counts = [shown.count(value) for value in ("female", "male")]
        assert one["distribution"]["counts"] == counts and one["pictures"] == len(shown)
    assert list(found["series"]) == [
        "neutral-0", "neutral-0.5", "neutral-1", "silent", "guidance-1"
    ]  # fmt: skip
    told = [line for line in listed if line["file"].startswith("pictures/explicit-1/")]
    share = np.mean([line["shows"] == line["asked_for"] for line in told])
    assert found["explicit"]["1"]["obeyed"]["share"] == pytest.approx(share)


def test_the_page_asks_nobody_for_anything_and_has_both_grids(whole):
    page = (whole / "report.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert page.count("<svg") == 3 and "As the model is" in page
    assert page.count('src="data:image/png') >= 2 * 6 + 2 * 4


def test_stopped_and_damaged_it_ends_with_the_same_bytes(tmp_path, written, whole):
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path, written(), stop_after=5)
    begun = sorted((tmp_path / ".pictures").rglob("*.png"))
    assert 0 < len(begun) < 20
    begun[0].write_bytes(begun[0].read_bytes()[:100])
    shutil.copyfile(begun[2], begun[1])  # another picture under its name
    again, run = measured(tmp_path, written())
    assert made(again) == made(whole)
    assert run.read_manifest()["status"] == "complete"


def test_equal_pictures_of_other_experiments_are_not_drawn_again(outputs, written, whole, drawn):
    _, run = measured(outputs, written())
    assert run.reused and not drawn
    measured(outputs, written(undecided=0.9), name="other")
    assert not drawn  # judged anew, drawn never
    measured(outputs, written(embedding="", seeds={"start": 5, "count": 7}), name="plain")
    assert set(drawn) == {("a doc", 11)}


def test_without_a_word_the_model_is_measured_as_it_is(tmp_path, written):
    folder, run = measured(tmp_path, written(embedding="", explicit={}, bystanders={}))
    assert list(facts(folder)["series"]) == ["neutral-0", "silent", "guidance-1"]
    assert any("no word was learned yet" in note for note in run.notes)


def test_the_word_of_this_experiments_inversion_is_found(tmp_path, written, word):
    (tmp_path / "x" / "inversion").mkdir(parents=True)
    shutil.copyfile(word, tmp_path / "x" / "inversion" / "doc.safetensors")
    settings = written(embedding="", explicit={}, bystanders={}, compare={"silent": ""})
    folder, _ = measured(tmp_path, settings)
    assert "neutral-1" in facts(folder)["series"]
    with pytest.raises(UserError, match="no word cook, only doc"):
        measured(tmp_path, {**settings, "word": "cook", "prompts": ["a cook"],
                            "subjects": ["cook", "doc"]})  # fmt: skip


def test_between_words_of_different_length_there_is_nothing(tmp_path, written):
    save_embedding(tmp_path / "doc.safetensors", "doc", torch.ones(1, 32))
    settings = written(embedding=str(tmp_path / "doc.safetensors"), compare={"silent": ""})
    folder, run = measured(tmp_path, settings)
    assert "neutral-0.5" not in facts(folder)["series"]
    assert any("nothing between strength 0 and 1" in note for note in run.notes)


def test_a_judge_that_can_tell_nothing_is_said(tmp_path, written):
    _, run = measured(tmp_path, written(undecided=0.99, sweep={"strengths": []}))
    assert any("could tell the value of no picture" in note for note in run.notes)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"embedding": "gone.safetensors"}, "gone.safetensors: there is no such"),
        ({"judge": "clip:gone/folder"}, "gone/folder cannot be loaded"),
        ({"judge": "storybook"}, "knows no gender: set skew.attribute to one of setting, style"),
        ({"judge": "storybook", "attribute": "colour"}, "knows no colour female"),
        ({"width": 33}, "multiples of"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(tmp_path, written, settings, sentence):
    with pytest.raises(UserError, match=sentence):
        measured(tmp_path / "out", written(**settings))
    assert not (tmp_path / "out").exists()


def test_the_forecast_counts_what_is_missing(outputs, written, whole, tmp_path):
    config = Config.model_validate_json(json.dumps(written()))
    (known,) = job.forecast(config, Run(outputs, "y", "skew"))
    (fresh,) = job.forecast(config, Run(tmp_path, "y", "skew"))
    total = fresh.split()[0]
    assert known.startswith(f"0 of {total} ") and fresh.startswith(f"{total} of {total} ")
    assert "about" in fresh and "about" not in known
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_killed_it_goes_on(tmp_path, written, whole, kill):
    """SIGKILL in the midst of drawing, then the same command: the same bytes."""
    file = tmp_path / "x.yaml"
    file.write_text(json.dumps({"skew": written()}))
    kill("studio skew", file, tmp_path, ".pictures/**/*.png")
    drawn = {path: path.stat().st_mtime_ns for path in tmp_path.glob(".pictures/**/*.png")}
    assert drawn and not (tmp_path / "x/skew/report.html").exists()
    assert main(["skew", str(file), "--outputs", str(tmp_path)]) == 0
    assert {path: path.stat().st_mtime_ns for path in drawn} == drawn  # nothing is drawn again
    assert made(tmp_path / "x" / "skew").keys() == made(whole).keys()
    assert {k: v for k, v in made(tmp_path / "x" / "skew").items() if k.endswith("png")} == {
        k: v for k, v in made(whole).items() if k.endswith("png")
    }
