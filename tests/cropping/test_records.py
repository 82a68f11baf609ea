"""What is told about all pictures together: duplicates, blank crops, captions, metadata."""

import json

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from cropping.captions import load_captioner
from cropping.duplicates import detail, distance, find_duplicates, perceptual_hash
from cropping.sources import stems
from lab.errors import UserError


def scene(seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (5, 5, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((160, 120), Image.Resampling.BICUBIC)


def test_a_hash_stays_when_a_picture_is_scanned_again_and_differs_for_another(tmp_path):
    first = perceptual_hash(scene(0))
    again = ImageEnhance.Brightness(scene(0).resize((333, 250))).enhance(0.85)
    again.save(tmp_path / "a.jpg", quality=60)
    with Image.open(tmp_path / "a.jpg") as image:
        assert distance(first, perceptual_hash(image)) <= 6
    assert min(distance(first, perceptual_hash(scene(k))) for k in range(1, 20)) > 12


def test_of_pictures_that_are_alike_all_but_the_first_are_duplicates():
    assert find_duplicates(["00", "ff", "01", "fe", "03"], most=1) == {2: 0, 3: 1}
    assert find_duplicates([], most=1) == {}


def test_duplicates_are_told_and_dropped_when_asked(pictures, crop, lines):
    scene(1).save(pictures / "1 a cat.png")
    scene(1).resize((200, 150)).save(pictures / "2 a dog.png")
    scene(2).save(pictures / "nested" / "3 a bird.png")
    run = crop(pictures)
    assert [line["duplicate_of"] for line in lines(run)] == [None, "1 a cat.png", None]
    assert any("2 a dog.png looks like 1 a cat.png" in note for note in run.notes)
    run = crop(pictures, drop_duplicates=6)
    assert [line["caption"] for line in lines(run)] == ["a cat", "a bird"]
    assert not (run.folder / "images" / "2 a dog.png").exists()
    assert any("2 a dog.png (like 1 a cat.png)" in note for note in run.notes)


def test_blank_crops_are_told_and_dropped_when_asked(pictures, crop, lines):
    grain = np.random.default_rng(0).normal(240, 4, (60, 90, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(grain).save(pictures / "1 a cat.png")
    assert detail(Image.fromarray(grain)) < 3 < detail(scene(0))
    assert any("1 crops have next to nothing" in note for note in crop(pictures).notes)
    run = crop(pictures, drop_blank=3)
    assert [line["caption"] for line in lines(run)] == ["a dog", "a bird"]
    assert not (run.folder / "images" / "1 a cat.png").exists()


def test_metadata_is_as_an_imagefolder_has_it(pictures, crop, lines):
    run = crop(pictures, pad="always", captions={"prefix": "ink,"})
    text = (run.folder / "images" / "metadata.jsonl").read_text()
    found = [json.loads(line) for line in text.splitlines()]
    assert [line["text"] for line in found] == ["ink, a cat", "ink, a dog", "ink, a bird"]
    for line in found:
        assert (run.folder / "images" / line["file_name"]).is_file()
        assert (run.folder / "images" / line["mask"]).is_file()


def test_crops_are_named_as_their_pictures_each_once(tmp_path):
    names = ["a/cat.png", "b/CAT.png", "cat (2).png", "cat tile 2.png", "...png",
             "x" * 300 + ".png", "a.mask.jpg", "q?.png"]  # fmt: skip
    found = stems([tmp_path / name for name in names])
    assert found[:4] == ["cat", "CAT (2)", "cat (2) (2)", "cat tile 2_"]
    assert len({name.casefold() for name in found}) == len(names)
    assert max(len(name.encode()) for name in found) <= 110
    assert not any(set(name) & set('/\\:*?"<>|') for name in found)
    assert found[6] == "a.mask_"


@pytest.fixture(scope="module")
def tiny_blip(tmp_path_factory):
    """A captioning model with random weights, as its makers save it."""
    import torch
    from transformers import BertTokenizerFast, BlipConfig, BlipForConditionalGeneration

    folder = tmp_path_factory.mktemp("blip")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog", "red", "blue", "house"]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
    size = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2,
            "num_hidden_layers": 1}  # fmt: skip
    text = {"vocab_size": len(words), "encoder_hidden_size": 16, "bos_token_id": 2,
            "pad_token_id": 0, "eos_token_id": 3, "sep_token_id": 3}  # fmt: skip
    vision = {"image_size": 32, "patch_size": 16}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BlipConfig(text_config=size | text, vision_config=size | vision)
        BlipForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor = {
        "image_processor_type": "BlipImageProcessor", "processor_class": "BlipProcessor",
        "size": {"height": 32, "width": 32}, "do_resize": True, "do_normalize": True,
        "do_rescale": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def test_a_model_captions_the_crops_that_nobody_did(pictures, crop, lines, tiny_blip):
    (pictures / "2 a dog.txt").write_text("by hand")
    captions = {"automatic": str(tiny_blip), "prefix": "ink,"}
    run = crop(pictures, captions=captions)
    assert [line["caption_from"] for line in lines(run)] == ["automatic", "sidecar", "automatic"]
    assert lines(run)[1]["caption"] == "ink, by hand"
    for line in lines(run):
        text = (run.folder / line["file"]).with_suffix(".txt").read_text()
        assert text == line["caption"] + "\n"
    assert set(lines(run)[0]["caption"].split()) <= {"ink,", "cat", "dog", "red", "blue", "house"}
    appended = crop(pictures, "other", captions=captions | {"sidecar": "append"})
    # A random model may have nothing to say.
    assert lines(appended)[1]["caption_from"] in ("automatic + sidecar", "sidecar")
    assert lines(appended)[1]["caption"].endswith("by hand")


@pytest.mark.parametrize(
    "name, words",
    [
        ("Salesforce/blip-image-captioning-base", "the weights of Salesforce/blip"),
        ("./nowhere", "is no folder and no hub id"),
    ],
)
def test_a_model_that_is_not_there_is_told_before_anything_is_written(
    tmp_path, pictures, crop, name, words
):
    with pytest.raises(UserError, match=words) as caught:
        crop(pictures, captions={"automatic": name})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert load_captioner("") is None
