"""What is wrong with an embedding, said in sentences; what it is near to."""

import pytest
import torch
from safetensors.torch import save_file

from diffusion.formats import save_embedding
from diffusion.inspection import Vocabulary, inspect, report, vocabulary_of
from diffusion.stable_diffusion import load


@pytest.fixture(scope="module")
def vocabulary():
    words = ("cat", "dog", "un", "painting")
    whole = torch.tensor([True, True, False, True])
    return Vocabulary("tiny", words, 0.4 * torch.eye(4, 8), whole)


def rows(*values):
    return torch.tensor(values, dtype=torch.float32)


GOOD = rows([0.3, 0.2, 0, 0, 0.1, 0, 0, 0], [0, 0.1, 0, 0.3, 0, 0.2, 0, 0])


def wrong(tmp_path, vectors, vocabulary, token="<w>", name="w.safetensors"):
    path = tmp_path / name
    save_embedding(path.with_suffix(".safetensors"), token, vectors)
    path.with_suffix(".safetensors").rename(path)
    return " / ".join(inspect(path, [vocabulary]).wrong)


def test_a_sound_word_is_not_complained_about(tmp_path, vocabulary):
    assert wrong(tmp_path, GOOD, vocabulary) == ""
    text = report(inspect(tmp_path / "w.safetensors", [vocabulary]))
    assert "<w>, 2 vectors of width 8" in text
    assert "nothing that shows" in text and "1: cat 0.80, dog 0.53" in text


def test_norms_are_compared_with_the_vocabulary(tmp_path, vocabulary):
    assert wrong(tmp_path, 9 * GOOD, vocabulary) == ""
    assert "ran away, to 14 times the vocabulary's median of 0.40" in wrong(
        tmp_path, 15 * GOOD, vocabulary
    )


@pytest.mark.parametrize(
    ("vectors", "sentence"),
    [
        (torch.cat([GOOD, rows([0] * 8)]), "vector 3 is zero"),
        (torch.cat([GOOD, GOOD[:1]]), "vectors 1 and 3 are the same"),
        (rows([0, 0.8, 0, 0, 0, 0, 0, 0]), r"1 of its 1 vectors still point .*\(dog\)"),
        (rows([0, 0, 0.4, 0, 0, 0, 0, 0]), r"\(un\)"),
        (torch.randn(76, 8), "76 vectors exceed the 75 places"),
        (torch.randn(40, 8), "takes 40 of the 75 places"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, vocabulary, vectors, sentence):
    import re

    assert re.search(sentence, wrong(tmp_path, vectors, vocabulary))


def test_names_are_judged(tmp_path, vocabulary):
    assert "'cat' is in the vocabulary" in wrong(tmp_path, GOOD, vocabulary, token="cat")
    assert "letters that prompts use" in wrong(tmp_path, GOOD, vocabulary, token="a, b")
    assert "rename it" in wrong(tmp_path, GOOD, vocabulary, name="w.pt")


@pytest.mark.parametrize(
    ("width", "family"),
    [
        (192, "storybook"),
        (768, "Stable Diffusion 1.x"),
        (1024, "Stable Diffusion 2.x"),
        (1280, "XL's second"),
        (500, "no model family.*500"),
    ],
)
def test_the_family_follows_from_the_width(tmp_path, vocabulary, width, family):
    import re

    save_embedding(tmp_path / "w.safetensors", "<w>", torch.ones(1, width))
    inspected = inspect(tmp_path / "w.safetensors", [vocabulary])
    assert inspected.vocabulary is None
    assert re.search(f"made for .*{family}", report(inspected))


def test_both_encoders_of_xl_are_one_word(tmp_path):
    save_file({"clip_l": GOOD, "clip_g": torch.ones(2, 4)}, tmp_path / "w.safetensors")
    text = report(inspect(tmp_path / "w.safetensors"))
    assert "Stable Diffusion XL (both" in text and "<w>, 2 vectors" in text


def test_a_models_vocabulary_is_its_own_table(tiny_sd_folder):
    vocabulary = vocabulary_of(str(tiny_sd_folder))
    sd = load(str(tiny_sd_folder), "cpu")
    assert torch.equal(vocabulary.table, sd.text_encoder.get_input_embeddings().weight)
    index = vocabulary.words.index("k")
    (nearest,) = vocabulary.nearest(vocabulary.table[index], 1, pieces=True)
    assert nearest == ("k", pytest.approx(1.0, abs=1e-5))
