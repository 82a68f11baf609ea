"""Detectors of heads and figures: plug-ins that tell the search where they are.

A detector is a function from an RGB picture to what it found in it. The default uses none: those
trained on photographs hardly see drawn heads.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from PIL import Image

from cropping.window import Box
from lab.errors import UserError
from lab.run import Run, file_hash

WEIGHT = 0.65  # of what was found, against the saliency's remaining share
FACE_SCORE = 0.5  # of YuNet: drawn faces seldom score more
FACE_SIDE = 640  # px: the input that YuNet's published files have
OBJECT_SCORE = 0.1  # of zero-shot detectors, whose scores are low
SEGMENT_SCORE = 0.4  # of zero-shot segmenters
LABELS = ("a head", "a face", "an animal", "a person")


@dataclass(frozen=True)
class Found:
    """A rectangle in source pixels, how sure the detector is of it (0..1), and what it shows."""

    box: Box
    score: float
    what: str


Detector: TypeAlias = Callable[[Image.Image], tuple[Found, ...]]


def load_detector(name: str, labels: Sequence[str] = ()) -> Detector:
    """A detector by the path of YuNet's ONNX file, or by the hub id or folder of a transformers
    zero-shot detector (OWL-ViT, OWLv2, Grounding DINO ...) or segmenter (CLIPSeg).

    Args:
        name: path or hub id.
        labels: what a zero-shot model looks for; `LABELS` where there are none.

    Raises:
        UserError: there is no such file, or its weights are absent, or are of something else.
    """
    if name.lower().endswith(".onnx"):
        return load_yunet(Path(name))
    return load_zero_shot(name, tuple(labels) or LABELS)


def identity(name: str) -> str:
    """A hash of a detector's file, or of its folder's files; "" where it is neither of them here. A
    detector is what is in its files: others of the same name find other things."""
    path = Path(name)
    files = [path] if path.is_file() else []
    if name and path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
    return Run.fingerprint([[file.name, file_hash(file)] for file in files]) if files else ""


def with_found(
    importance: np.ndarray, picture: tuple[int, int], found: Sequence[Found]
) -> np.ndarray:
    """The importance [h, w] with `WEIGHT` of its sum moved into what was found: there every pixel
    counts by the score, so that a box counts by its area."""
    boxes = np.zeros_like(importance)
    rows, columns = importance.shape
    for one in found:
        box = one.box.inside(picture)
        y0, y1 = (int(y * rows / picture[1]) for y in (box.y0, box.y1))
        x0, x1 = (int(x * columns / picture[0]) for x in (box.x0, box.x1))
        part = boxes[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
        np.maximum(part, one.score, out=part)
    if not boxes.any():
        return importance
    total = float(importance.sum())
    return (1 - WEIGHT) * importance + boxes * (WEIGHT * total / float(boxes.sum()))


# --- YuNet


def load_yunet(path: Path) -> Detector:
    """Faces by YuNet (Wu, Peng & Yu 2023), from its ONNX file, which no package ships:
    `face_detection_yunet_2023mar.onnx` of github.com/opencv/opencv_zoo.

    Raises:
        UserError: the file is absent, or is no YuNet.
    """
    if not path.is_file():
        raise UserError(
            f"{path} does not exist; face_detection_yunet_2023mar.onnx is in OpenCV's model zoo "
            "(github.com/opencv/opencv_zoo)"
        )
    try:
        size = (FACE_SIDE, FACE_SIDE)
        network = cv2.FaceDetectorYN.create(str(path), "", size, FACE_SCORE)
        network.detect(np.zeros((*size, 3), np.uint8))
    except cv2.error as error:
        reason = " ".join(str(error.err or error).split())
        raise UserError(f"{path} is not a YuNet model ({reason}); give its ONNX file") from None
    return lambda image: _faces(network, image)


def _faces(network: Any, image: Image.Image) -> tuple[Found, ...]:
    """Faces found in a square of `FACE_SIDE` px that the picture is fitted into: files of one fixed
    input shape are common, and on OpenCV 5 are the only ones that work."""
    scale = FACE_SIDE / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    small = cv2.resize(np.asarray(image), size, interpolation=cv2.INTER_AREA)
    canvas = np.zeros((FACE_SIDE, FACE_SIDE, 3), np.uint8)
    canvas[: size[1], : size[0]] = small[..., ::-1]  # it was trained on OpenCV's order, BGR
    _, faces = network.detect(canvas)
    found = [] if faces is None else faces
    boxes = [(_box(x, y, x + w, y + h, scale, image.size), float(s))
             for x, y, w, h, *_, s in found]  # fmt: skip
    return tuple(Found(box, min(score, 1.0), "face") for box, score in boxes if box)


def _box(x0, y0, x1, y1, scale: float, picture: tuple[int, int]) -> Box | None:
    """The part of a rectangle, given at `scale`, that lies in the picture, if there is any."""
    corners = (float(v) / scale for v in (x0, y0, x1, y1))
    box = Box(*(round(min(max(v, -1e6), 1e6)) for v in corners)).inside(picture)
    return box if box.width > 0 and box.height > 0 else None


# --- transformers


def load_zero_shot(name: str, labels: tuple[str, ...]) -> Detector:
    """A detector or segmenter of whatever the labels name, by hub id or folder.

    Raises:
        UserError: the weights are absent, or the model is of another kind.
    """
    import torch
    import transformers

    try:
        kind = transformers.AutoConfig.from_pretrained(name).model_type
        if kind in ZERO_SHOT_KINDS:
            model = transformers.AutoModelForZeroShotObjectDetection.from_pretrained(name)
        elif kind == "clipseg":
            model = transformers.CLIPSegForImageSegmentation.from_pretrained(name)
        else:
            raise UserError(
                f"{name} is a {kind} model; a detector is one of {', '.join(ZERO_SHOT_KINDS)}, "
                "clipseg, or YuNet's .onnx file"
            )
        processor = transformers.AutoProcessor.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        where = "lacks files" if Path(name).is_dir() else "is no folder here, nor on the hub"
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{name} cannot be loaded as a detector: it {where} ({first}); download the model, "
            "weights and processor, and give its folder"
        ) from None
    model.eval()
    find = _segments if kind == "clipseg" else _objects

    def detector(image: Image.Image) -> tuple[Found, ...]:
        with torch.inference_mode():
            return tuple(find(model, processor, image, labels))

    return detector


ZERO_SHOT_KINDS = ("owlvit", "owlv2", "grounding-dino", "mm-grounding-dino")


def _objects(model, processor, image: Image.Image, labels: tuple[str, ...]) -> Iterator[Found]:
    """What a zero-shot detector finds: boxes for labels."""
    inputs = processor(images=image, text=[list(labels)], return_tensors="pt")
    outputs = model(**inputs)
    size = [(image.height, image.width)]
    if "grounding-dino" in model.config.model_type:
        result = processor.post_process_grounded_object_detection(
            outputs, inputs["input_ids"], threshold=OBJECT_SCORE, target_sizes=size
        )[0]
    else:
        result = processor.post_process_grounded_object_detection(
            outputs, threshold=OBJECT_SCORE, target_sizes=size, text_labels=[list(labels)]
        )[0]
    for score, corners, what in zip(
        result["scores"], result["boxes"], result["text_labels"], strict=True
    ):
        x0, y0, x1, y1 = corners.tolist()
        if box := _box(x0, y0, x1, y1, 1.0, image.size):
            yield Found(box, float(score), str(what))


def _segments(model, processor, image: Image.Image, labels: tuple[str, ...]) -> Iterator[Found]:
    """What a zero-shot segmenter finds: the boxes of connected areas, by their mean score."""
    inputs = processor(
        images=[image] * len(labels), text=list(labels), padding=True, return_tensors="pt"
    )
    logits = model(**inputs).logits.reshape(len(labels), *model_output_size(model))
    for heat, what in zip(logits.sigmoid().numpy(), labels, strict=True):
        mask = (heat >= SEGMENT_SCORE).astype(np.uint8)
        count, areas, stats, _ = cv2.connectedComponentsWithStats(mask)
        for index in range(1, count):
            x, y, w, h, area = stats[index]
            across, down = image.width / heat.shape[1], image.height / heat.shape[0]
            far = (x + w) * across, (y + h) * down
            box = _box(x * across, y * down, *far, 1.0, image.size)
            if box and area >= 1e-3 * heat.size:  # less is noise
                yield Found(box, float(heat[areas == index].mean()), what)


def model_output_size(model) -> tuple[int, int]:
    """Height and width of a CLIPSeg model's answer."""
    side = model.config.vision_config.image_size
    return side, side
