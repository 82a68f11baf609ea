"""`pseudoword embedding upload`: a learned word and its card to the Hugging Face Hub."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusion.formats import read_embedding
from lab.errors import UserError

CARD = "README.md"
NEW_WORD = """\
---
library_name: diffusers
tags: [stable-diffusion, textual-inversion]
---
# {token}

A word for {model}: {vectors} of width {width}{learned}.

*AUTOMATIC1111*: put `{file}` into `embeddings/`, and write {stem} in a prompt.

*ComfyUI*: write `embedding:{stem}`.

*diffusers*:

    pipeline.load_textual_inversion("{repository}", weight_name="{file}", token="{token}")

What pictures of it look like, and how far they are from those that it was learned from, was not
measured here.
"""


def upload(file: str | Path, repository: str, *, public: bool, force: bool, api: Any = None) -> str:
    """Send a word's file and its card in one commit; returns the commit's address.

    The card is the README.md beside the file where that names it, as the job skew leaves one, else
    a short one. A repository that has to be made is private unless `public`.

    Raises:
        UserError: a file that is no safetensors embedding, HF_HUB_OFFLINE, no login, a repository
            that holds the word or a card already, and whatever the Hub refuses.
    """
    file = Path(file)
    embedding = read_embedding(file)
    if file.suffix != ".safetensors":
        raise UserError(
            f"{file} is no .safetensors file, and others may execute what they hold: write one "
            "with `pseudoword embedding convert IN OUT --to diffusers` first"
        )
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise UserError(
            f"HF_HUB_OFFLINE is set, so {file} is sent nowhere: unset it to upload the word"
        )
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    api = api or HfApi()
    contents: Mapping[str, bytes] = {
        file.name: file.read_bytes(),
        CARD: card_of(file, embedding, repository).encode(),
    }
    try:
        api.create_repo(repository, private=not public, exist_ok=True)
        taken = [name for name in contents if api.file_exists(repository, name)]
        if taken and not force:
            raise UserError(
                f"{repository} holds {' and '.join(taken)} already: name another repository, or "
                "add --force to replace what is there"
            )
        operations = [CommitOperationAdd(name, content) for name, content in contents.items()]
        message = f"The word {embedding.token}"
        return str(api.create_commit(repository, operations, commit_message=message).commit_url)
    except LocalTokenNotFoundError:
        raise UserError(
            "you are not logged in to the Hugging Face Hub: `hf auth login`, with a token that may "
            "write"
        ) from None
    except (HFValidationError, HfHubHTTPError, OSError) as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{file} could not be sent to {repository}: {said}") from error


def card_of(file: Path, embedding: Any, repository: str) -> str:
    """The card that lies beside the file, if it is this file's, else a short one."""
    beside = file.with_name(CARD)
    if beside.is_file() and file.name in (text := beside.read_text(encoding="utf-8")):
        return text
    about = embedding.metadata
    count, width = embedding.vectors.shape
    learned = f", learned in {about['steps']} steps" if "steps" in about else ""
    learned += f" from {about['pictures']} pictures" if learned and "pictures" in about else ""
    return NEW_WORD.format(
        token=embedding.token,
        model=about.get("model", "a Stable Diffusion 1.x"),
        vectors=f"{count} vector{'s' if count > 1 else ''}",
        width=width,
        learned=learned,
        file=file.name,
        stem=file.stem,
        repository=repository,
    )
