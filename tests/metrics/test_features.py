"""Feature extractors from folders, prompts matched by a CLIP, and the diversity of a set."""

import json

import numpy as np
import pytest
import torch

from diffusion.stable_diffusion import locate
from lab.errors import UserError
from metrics.features import diversity, load_encoder, prepared, read, see
from storybook.illustrator import training_drawing


@pytest.fixture(scope="module")
def storybook_clip():
    return load_encoder(locate("storybook") / "clip")


@pytest.fixture
def pictures():
    return list(np.random.default_rng(0).integers(0, 255, (5, 64, 64, 3)).astype(np.uint8))


def test_vectors_are_units_and_belong_to_one_picture_each(storybook_clip, pictures):
    together = see(storybook_clip, pictures)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    alone = np.concatenate([see(storybook_clip, [picture]) for picture in pictures])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_bundled_clip_finds_the_picture_of_each_caption(storybook_clip):
    """Drawings that it was not trained on: among 40, most captions fit their own picture best."""
    drawings = [training_drawing(987654, index) for index in range(40)]
    shown = see(storybook_clip, [np.asarray(drawing.image) for drawing in drawings])
    said = read(storybook_clip, [drawing.caption for drawing in drawings])
    assert np.mean((shown @ said.T).argmax(axis=0) == np.arange(40)) > 0.7


def test_a_clip_in_the_form_of_the_hub(tmp_path, storybook_clip, pictures):
    """The same weights with a tokenizer and a preprocessor of their own, as CLIP is published."""
    storybook_clip.model.save_pretrained(tmp_path)
    storybook_clip.tokenizer.save_pretrained(tmp_path)
    mean, std = [0.48, 0.45, 0.4], [0.27, 0.26, 0.28]
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"crop_size": {"height": 64, "width": 64}, "image_mean": mean, "image_std": std})
    )
    published = load_encoder(tmp_path)
    assert published.mean == tuple(mean)
    texts = ["a red cat", "a house in the snow"]
    np.testing.assert_allclose(read(published, texts), read(storybook_clip, texts), atol=1e-5)
    values = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255
    values = (values - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    with torch.no_grad():
        expected = published.model.get_image_features(pixel_values=values).pooler_output.numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(see(published, pictures), expected, atol=1e-5)


@pytest.mark.parametrize("end", [0, 2, 49407])
def test_texts_end_where_the_tokenizer_ends_them(tmp_path, storybook_clip, end):
    """Whatever the configuration says: with a wrong end every text would be pooled at its start."""
    storybook_clip.model.save_pretrained(tmp_path)
    storybook_clip.tokenizer.save_pretrained(tmp_path)
    said = json.loads((tmp_path / "config.json").read_text())
    said["text_config"]["eos_token_id"] = end
    (tmp_path / "config.json").write_text(json.dumps(said))
    texts = ["a red cat", "a house in the snow"]
    np.testing.assert_allclose(
        read(load_encoder(tmp_path), texts), read(storybook_clip, texts), atol=1e-5
    )


def test_a_network_that_knows_pictures_only(tmp_path, pictures):
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28,
                          patch_size=14, mlp_ratio=2)  # fmt: skip
    Dinov2Model(config).save_pretrained(tmp_path)
    dino = load_encoder(tmp_path)
    assert see(dino, pictures).shape == (5, 16)
    with pytest.raises(UserError, match="knows no texts"):
        read(dino, ["a cat"])


def test_what_is_no_network_is_said(tmp_path):
    with pytest.raises(UserError, match="cannot be loaded"):
        load_encoder(tmp_path)


def test_the_middle_square_is_seen():
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, 10:30] = 200
    assert (prepared(picture, 10)[:, 2:-2] == 200).all()
    assert prepared(picture[:, 10:30], 20) is not None
    same = picture[:, :20]
    assert prepared(same, 20) is same


def test_diversity_of_known_sets():
    equal = np.tile([1.0, 0, 0], (4, 1))
    assert diversity(equal) == pytest.approx(0)
    assert diversity(np.eye(3)) == pytest.approx(1)
    assert diversity(np.array([[1.0, 0], [-1, 0]])) == pytest.approx(2)
    vectors = np.random.default_rng(0).normal(size=(7, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [1 - vectors[i] @ vectors[j] for i in range(7) for j in range(i)]
    assert diversity(vectors) == pytest.approx(np.mean(pairs))
    assert diversity(vectors[::-1]) == pytest.approx(diversity(vectors))
    with pytest.raises(ValueError, match="at least two"):
        diversity(vectors[:1])
