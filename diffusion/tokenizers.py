"""The tokenizer of a model that came as a single file: such files have none."""

from pathlib import Path

from huggingface_hub import snapshot_download
from transformers import CLIPTokenizer

from lab.errors import UserError

HUB = "openai/clip-vit-large-patch14"
"""Whose tokenizer Stable Diffusion 1.x has."""
_CACHED = (
    (HUB, ""),
    ("CompVis/stable-diffusion-v1-4", "tokenizer/"),
    ("stable-diffusion-v1-5/stable-diffusion-v1-5", "tokenizer/"),
    ("runwayml/stable-diffusion-v1-5", "tokenizer/"),
)
_FILES = (("vocab.json", "merges.txt"), ("tokenizer.json",))


def find_tokenizer(folder: str, checkpoint: Path, vocabulary: int) -> CLIPTokenizer:
    """The tokenizer in `folder`; if that is empty, the one in tokenizer/ beside the checkpoint,
    else Stable Diffusion's own from the Hugging Face cache, which is filled where there is a
    network.

    Raises:
        UserError: it is nowhere, or knows more words than the `vocabulary` of the text encoder.
    """
    if folder:
        tokenizer = _from_folder(Path(folder).expanduser(), checkpoint)
    elif (beside := checkpoint.parent / "tokenizer").is_dir():
        tokenizer = _from_folder(beside, checkpoint)
    else:
        tokenizer = _from_hub(checkpoint)
    if len(tokenizer) > vocabulary:
        raise UserError(
            f"{checkpoint}: its text encoder knows {vocabulary:,} tokens, but the tokenizer has "
            f"{len(tokenizer):,}; name the folder of the one that belongs to it as tokenizer"
        )
    return tokenizer


def _from_folder(folder: Path, checkpoint: Path) -> CLIPTokenizer:
    for place in (folder, folder / "tokenizer"):  # its own, or that of a whole model
        if any(all((place / name).is_file() for name in names) for names in _FILES):
            try:
                return CLIPTokenizer.from_pretrained(str(place), local_files_only=True)
            except Exception as error:  # damaged files cause exceptions of many kinds
                raise UserError(
                    f"{place}: the tokenizer in this folder is damaged; copy it again"
                ) from error
    raise UserError(
        f"{folder}: there is no tokenizer for {checkpoint.name} in this folder; it needs "
        f"vocab.json and merges.txt, such as those of {HUB}"
    )


def _from_hub(checkpoint: Path) -> CLIPTokenizer:
    # The files are asked for by name: from_pretrained of transformers 5 makes a tokenizer of two
    # tokens, without a word, where it finds none.
    for hub_id, folder in _CACHED:
        try:
            wanted = [f"{folder}{name}" for names in _FILES for name in names]
            place = snapshot_download(hub_id, allow_patterns=wanted, local_files_only=True)
            return _from_folder(Path(place) / folder, checkpoint)
        except (OSError, ValueError, UserError):
            continue  # it is not there, or only in part: look at the next place
    try:
        wanted = [name for names in _FILES for name in names]
        return _from_folder(Path(snapshot_download(HUB, allow_patterns=wanted)), checkpoint)
    except Exception as error:  # the hub's client and its HTTP library have dozens
        raise UserError(
            f"{checkpoint}: a single file has no tokenizer, there is none in the Hugging Face "
            "cache, and it could not be downloaded: go online once, or put vocab.json and "
            f"merges.txt of {HUB} into a folder tokenizer/ beside the file"
        ) from error
