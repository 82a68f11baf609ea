"""Detectors with real files: a YuNet-shaped ONNX file and tiny zero-shot models, made here."""

import math

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from cropping.detectors import Found, load_detector, with_found
from cropping.plan import plan
from cropping.window import Box
from lab.errors import UserError

# --- what was found, in the search


def test_what_was_found_takes_its_share_and_counts_by_its_area():
    uniform = np.full((60, 90), 1 / 5400)
    found = [Found(Box(0, 0, 300, 300), 1.0, "a"), Found(Box(600, 0, 900, 150), 1.0, "b")]
    weighted = with_found(uniform, (900, 600), found)
    assert weighted.sum() == pytest.approx(1)
    more = weighted - 0.35 * uniform
    assert more[:30, :30].sum() == pytest.approx(2 * more[:15, 60:].sum())
    assert more.sum() == pytest.approx(0.65)


def test_without_anything_found_nothing_changes():
    saliency = np.random.default_rng(0).random((20, 30))
    assert with_found(saliency, (300, 200), ()) is saliency


def test_a_plan_goes_where_the_detector_says():
    image = Image.new("RGB", (900, 300), "white")
    ImageDraw.Draw(image).ellipse((30, 60, 130, 160), "brown")

    def detector(picture):
        return (Found(Box(700, 50, 880, 250), 0.9, "a head"),)

    assert plan(image, 64, pad="never").windows[0].box.x0 < 30
    assert plan(image, 64, pad="never", detector=detector).windows[0].box.x1 >= 880


# --- YuNet: an ONNX file of its inputs and outputs, written byte by byte


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | str | bytes) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name: str, values: np.ndarray) -> bytes:
    kind = 7 if values.dtype == np.int64 else 1
    dims = b"".join(field(1, size) for size in values.shape)
    return dims + field(2, kind) + field(8, name) + field(9, values.tobytes())


def value_info(name: str, shape: list[int]) -> bytes:
    dims = b"".join(field(1, field(1, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))


def node(kind: str, inputs: list[str], output: str, **ints: list[int]) -> bytes:
    names = b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind)
    for key, values in ints.items():
        numbers = b"".join(field(8, value) for value in values)
        names += field(5, field(1, key) + numbers + field(20, 7))
    return names


def finder(seen: int = 0) -> bytes:
    """YuNet's interface on a network that takes blue squares of 32 px for faces; with `seen` 2, red
    ones. It sees BGR."""
    nodes, tensors, outputs = [], [], []
    for name, channels in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        for stride in (8, 16, 32):
            weight = np.zeros((channels, 3, stride, stride), np.float32)
            bias = np.zeros(channels, np.float32)
            if name == "cls":
                weight[0, seen], weight[0, 2 - seen] = 0.1 / stride**2, -0.1 / stride**2
                bias[0] = -10 if stride == 32 else -60
            elif name == "obj":
                bias[0] = 20
            elif name == "bbox":
                bias[:2], bias[2:] = 0.5, math.log(32 / stride)
            out, cells = f"{name}_{stride}", (640 // stride) ** 2
            shape = np.array([1, cells, channels], np.int64)
            tensors += [tensor(f"{out}w", weight), tensor(f"{out}b", bias)]
            tensors += [tensor(f"{out}s", shape)]
            ways = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
            nodes.append(node("Conv", ["input", f"{out}w", f"{out}b"], f"{out}c", **ways))
            nodes.append(node("Transpose", [f"{out}c"], f"{out}t", perm=[0, 2, 3, 1]))
            last = f"{out}r" if name in ("cls", "obj") else out
            nodes.append(node("Reshape", [f"{out}t", f"{out}s"], last))
            if last != out:
                nodes.append(node("Sigmoid", [last], out))
            outputs.append(value_info(out, [1, cells, channels]))
    graph = b"".join(field(1, one) for one in nodes) + field(2, "blue")
    graph += b"".join(field(5, one) for one in tensors)
    graph += field(11, value_info("input", [1, 3, 640, 640]))
    graph += b"".join(field(12, one) for one in outputs)
    return field(1, 7) + field(7, graph) + field(8, field(1, "") + field(2, 11))


@pytest.fixture(scope="module")
def yunet(tmp_path_factory):
    path = tmp_path_factory.mktemp("yunet") / "yunet.onnx"
    path.write_bytes(finder())
    return path


@pytest.mark.parametrize("size", [(640, 640), (1280, 320), (300, 600)])
def test_yunet_sees_the_picture_in_its_own_order_of_colours_and_place(yunet, size):
    detector = load_detector(str(yunet))
    unit = max(size) / 640 * 32
    image = Image.new("RGB", size, "black")
    draw = ImageDraw.Draw(image)
    draw.rectangle((4 * unit, unit, 5 * unit - 1, 2 * unit - 1), (0, 0, 255))
    draw.rectangle((1 * unit, unit, 2 * unit - 1, 2 * unit - 1), (255, 0, 0))
    (found,) = detector(image)
    assert found.what == "face"
    assert 0.9 < found.score <= 1
    expected = (4 * unit, unit, 5 * unit, 2 * unit)
    assert found.box.corners == pytest.approx(expected, abs=2)


def test_another_detector_of_the_same_name_makes_the_job_run_again(
    tmp_path, pictures, crop, lines, yunet
):
    """The same number of bytes at the same path, of a finder of red in place of blue."""
    folder = tmp_path / "other"
    folder.mkdir()
    image = Image.new("RGB", (640, 128), "black")
    ImageDraw.Draw(image).rectangle((96, 32, 127, 63), (0, 0, 255))
    ImageDraw.Draw(image).rectangle((544, 32, 575, 63), (255, 0, 0))
    image.save(folder / "two.png")
    file = tmp_path / "finder.onnx"
    boxes = []
    for model in (finder(), finder(), finder(seen=2)):
        file.write_bytes(model)
        boxes.append(lines(crop(folder, detector=str(file)))[0]["box"])
    assert boxes[0] == boxes[1]
    assert boxes[0][0] <= 96 and boxes[0][2] <= 320
    assert boxes[2][0] >= 320 and boxes[2][2] >= 576


def test_a_yunet_that_is_absent_or_something_else_is_said(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.onnx does not exist.*opencv_zoo"):
        load_detector(str(tmp_path / "nowhere.onnx"))
    (tmp_path / "other.onnx").write_bytes(b"not a model")
    with pytest.raises(UserError, match=r"other\.onnx is not a YuNet model"):
        load_detector(str(tmp_path / "other.onnx"))
    assert hasattr(cv2, "FaceDetectorYN")  # and neither CascadeClassifier nor the saliency module


# --- zero-shot models


@pytest.fixture(scope="module")
def owl(tmp_path_factory):
    """An OWL-ViT of two layers that finds everything a little, whole on disk."""
    torch = pytest.importorskip("torch")
    from transformers import (
        OwlViTConfig,
        OwlViTForObjectDetection,
        OwlViTImageProcessorPil,
        OwlViTProcessor,
    )

    folder = tmp_path_factory.mktemp("owl")
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
             "num_attention_heads": 2}  # fmt: skip
    tokens = tiny_tokenizer()
    text = small | {"vocab_size": len(tokens), "max_position_embeddings": 16}
    vision = small | {"image_size": 64, "patch_size": 16}
    torch.manual_seed(0)
    model = OwlViTForObjectDetection(
        OwlViTConfig(text_config=text, vision_config=vision, projection_dim=16)
    )
    model.save_pretrained(folder)
    images = OwlViTImageProcessorPil(size={"height": 64, "width": 64})
    OwlViTProcessor(images, tokens).save_pretrained(folder)
    return folder


def tiny_tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["!", "<s>", "</s>", "a", "head", "face", "an", "animal", "person", "cat"]
    tokenizer = Tokenizer(models.WordLevel({w: k for k, w in enumerate(words)}, unk_token="!"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="!", bos_token="<s>", eos_token="</s>",
        pad_token="!", model_max_length=16,
    )  # fmt: skip


def test_a_zero_shot_detector_is_loaded_from_a_folder(owl):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8))
    found = load_detector(str(owl), ["a cat", "a person"])(image)
    assert found
    assert {one.what for one in found} <= {"a cat", "a person"}
    for one in found:
        assert one.box.inside(image.size) == one.box
        assert 0.1 <= one.score <= 1
    assert load_detector(str(owl), ["a cat", "a person"])(image) == found
    assert plan(image, 64, detector=load_detector(str(owl))).windows


@pytest.fixture(scope="module")
def clipseg(tmp_path_factory):
    torch = pytest.importorskip("torch")
    from transformers import (
        CLIPSegConfig,
        CLIPSegForImageSegmentation,
        CLIPSegProcessor,
        ViTImageProcessorPil,
    )

    folder = tmp_path_factory.mktemp("clipseg")
    tokens = tiny_tokenizer()
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3,
             "num_attention_heads": 2}  # fmt: skip
    torch.manual_seed(0)
    config = CLIPSegConfig(
        text_config=small | {"vocab_size": len(tokens), "max_position_embeddings": 16,
                             "eos_token_id": 2},
        vision_config=small | {"image_size": 64, "patch_size": 16},
        projection_dim=16, reduce_dim=8, extract_layers=[0, 1, 2], conditional_layer=0,
        decoder_num_attention_heads=2, decoder_intermediate_size=16,
    )  # fmt: skip
    CLIPSegForImageSegmentation(config).save_pretrained(folder)
    images = ViTImageProcessorPil(size={"height": 64, "width": 64})
    CLIPSegProcessor(images, tokens).save_pretrained(folder)
    return folder


def test_a_zero_shot_segmenter_is_loaded_from_a_folder(clipseg):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8))
    for labels in (["a cat"], ["a cat", "a person"]):
        found = load_detector(str(clipseg), labels)(image)
        assert found
        assert {one.what for one in found} <= set(labels)
        assert all(one.box.inside(image.size) == one.box for one in found)


def test_absent_weights_are_one_sentence(tmp_path, owl, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "config.json").write_text((owl / "config.json").read_text())
    for name in ("nobody/no-such-detector", str(tmp_path), str(tmp_path / "nothing")):
        with pytest.raises(UserError, match="cannot be loaded as a detector") as error:
            load_detector(name)
        assert "\n" not in str(error.value)
        assert name in str(error.value)


def test_a_model_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UserError, match="is a bert model; a detector is one of owlvit"):
        load_detector(str(tmp_path))
