"""The learned words that lie in files: those that an experiment made, and those it is given."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffusion.config import UsesModel
from diffusion.formats import Embedding, load_embedding
from diffusion.prompts import require_known_words
from diffusion.stable_diffusion import open_model
from lab.errors import UserError
from lab.run import file_hash


@dataclass(frozen=True)
class WordFile:
    """An embedding file and the word in it."""

    path: Path
    embedding: Embedding
    sha256: str

    @property
    def token(self) -> str:
        return self.embedding.token

    @property
    def count(self) -> int:
        """Its vectors, and so the tokens of a prompt that it takes."""
        return len(self.embedding.vectors)


def words_in(folder: Path, further: Sequence[str | Path] = ()) -> dict[str, WordFile]:
    """Token -> word of the `*.safetensors` in a folder (an inversion's results; it may not exist)
    and of `further` files of any program; few vectors first, then by name.

    Raises:
        UserError: for two files with the same word, and whatever `load_embedding` refuses.
    """
    words: dict[str, WordFile] = {}
    for path in [*sorted(folder.glob("*.safetensors")), *map(Path, further)]:
        word = WordFile(path, load_embedding(path), file_hash(path))
        other = words.get(word.token)
        if other is not None and other.sha256 != word.sha256:
            raise UserError(
                f"{path} and {other.path} both hold the word {word.token}: name one of them only, "
                "or save one under another word"
            )
        words[word.token] = word
    return {w.token: w for w in sorted(words.values(), key=lambda w: (w.count, w.token))}


def require_words(config: UsesModel, prompts: Sequence[str], words: Collection[str]) -> None:
    """Raise UserError where a prompt holds a <word> that is neither of `words` nor the model's own.

    The model is opened only if it must be asked.
    """
    if any(word not in words for p in prompts for word in re.findall(r"<[^\s<>]+>", p)):
        sd = open_model(config.model_copy(update={"device": "cpu"}), "fp32")
        for prompt in prompts:
            require_known_words(sd, prompt, list(words))
