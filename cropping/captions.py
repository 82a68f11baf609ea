"""Automatic captions: a model of transformers says what is in each crop."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from PIL import Image

from cropping.cutting import Record, Task
from lab.captions import SIDECARS, Caption, read_sidecar, with_prefix
from lab.errors import UserError
from lab.images import read_image
from lab.run import Progress, write_json, write_text

Captioner = Callable[[Image.Image], str]
LONGEST = 40  # tokens of a caption


def load_captioner(name: str, device: str = "auto") -> Captioner | None:
    """A model that captions pictures, by the hub id or folder of a transformers image-to-text model
    (BLIP, GIT, a vision encoder-decoder ...); None without a name.

    Raises:
        UserError: its weights are not there, or it is another kind of model.
    """
    if not name:
        return None
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from lab.device import pick_device

    where = "cropping.captions.automatic"
    if not Path(name).is_dir() and (name.startswith((".", "/", "~")) or name.count("/") != 1):
        raise UserError(f"{where}: {name} is no folder and no hub id (owner/name); name a model")
    try:
        processor = AutoProcessor.from_pretrained(name)
        model = AutoModelForImageTextToText.from_pretrained(name, dtype=torch.float32)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"{where}: the weights of {name} are not here or are not a captioning model's "
            f"({lines[0][:200]}); download them once while online, or name a folder that has them"
        ) from None
    at = pick_device(device)
    model = cast(Any, model).to(at).eval()

    @torch.inference_mode()
    def caption(image: Image.Image) -> str:
        inputs = processor(images=image, return_tensors="pt").to(at)
        tokens = model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False)
        return " ".join(processor.batch_decode(tokens, skip_special_tokens=True)[0].split())

    return caption


def caption_crops(
    tasks: Sequence[Task], made: Sequence[Record], captioner: Captioner | None
) -> Iterator[Progress]:
    """Caption every crop that has no automatic caption yet, in its .txt and in its record.

    An existing sidecar keeps its role (`captions.sidecar`); a caption by hand stays as it is.
    """
    for done, (task, record) in enumerate(zip(tasks, made, strict=True), start=1):
        waiting = [crop for crop in record.get("crops", ()) if crop["caption_from"] == "waiting"]
        if not waiting:
            continue
        if captioner is None:
            captioner = load_captioner(task.config.captions.automatic)
            assert captioner is not None
        captions = task.config.captions
        is_read = captions.sidecar != "ignore" and not task.source.problem
        existing = read_sidecar(task.source.path) if is_read else ""
        for crop in waiting:
            own = Caption(captioner(read_image(task.folder / crop["file"])), "automatic")
            caption = with_prefix(SIDECARS[captions.sidecar](existing, own), captions.prefix)
            text = (task.folder / crop["file"]).with_suffix(".txt")
            write_text(text, caption.text + "\n")
            crop |= {"caption": caption.text, "caption_from": caption.origin}
        write_json(task.record_file, record)
        yield Progress("captions", done, len(tasks), task.source.path.name)
