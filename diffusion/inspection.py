"""Looking at an embedding: what it is, which models it fits, and what is wrong with it."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion import containers
from diffusion.containers import Contents
from diffusion.formats import Embedding, meaning_of
from diffusion.readers import refusals
from diffusion.stable_diffusion import load

BUNDLED_WIDTH = 192
FAMILIES = {
    BUNDLED_WIDTH: "the bundled storybook model",
    768: "Stable Diffusion 1.x (CLIP ViT-L/14)",
    1024: "Stable Diffusion 2.x (OpenCLIP ViT-H/14)",
    1280: "Stable Diffusion XL's second text encoder alone (OpenCLIP ViT-bigG/14)",
    4096: "a T5 text encoder (Stable Diffusion 3, Flux)",
}
"""Width of a vector -> what has such an embedding table."""

PLACES = 75  # of a prompt, between its start and its end
RUN_AWAY = 10.0
"""Times the vocabulary's median norm. Public embeddings that work measured up to 8 times."""
SAME = 0.999  # cosine


@dataclass(frozen=True)
class Vocabulary:
    """A text encoder's words and their vectors [V, d]."""

    model: str
    words: tuple[str, ...]
    table: Tensor
    whole: Tensor
    """Which of them are whole words, bool [V]; the others are pieces of words, and signs."""

    @property
    def median_norm(self) -> float:
        return float(self.table.norm(dim=1).median())

    def nearest(
        self, vector: Tensor, count: int, *, pieces: bool = False
    ) -> list[tuple[str, float]]:
        """The words whose vectors point most nearly as one [d] does, with their cosines."""
        cosines = F.cosine_similarity(self.table, vector[None].to(self.table), dim=1)
        if not pieces:
            cosines = cosines.masked_fill(~self.whole, -1)
        best = cosines.topk(min(count, len(self.words)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [(self.words[index], cosine) for index, cosine in pairs]


@dataclass(frozen=True)
class Inspection:
    """What one file is."""

    path: Path
    contents: Contents
    embedding: Embedding
    vocabulary: Vocabulary | None
    """None where no model of its width was at hand."""
    wrong: tuple[str, ...]
    """Sentences, the gravest first."""


def vocabulary_of(model: str) -> Vocabulary:
    """The vocabulary of a model, which is loaded for it; UserError where it is not there."""
    sd = load(model, "cpu")
    table = sd.text_encoder.get_input_embeddings().weight
    assert isinstance(table, Tensor)
    table = table.detach().float()
    names = [str(name) for name in sd.tokenizer.convert_ids_to_tokens(list(range(len(table))))]
    words = tuple(name.removesuffix("</w>") for name in names)
    letters = (word.isascii() and word.isalpha() and len(word) > 1 for word in words)
    whole = [fits and name.endswith("</w>") for fits, name in zip(letters, names, strict=True)]
    return Vocabulary(model, words, table, torch.tensor(whole))


def inspect(path: str | Path, vocabularies: Sequence[Vocabulary] = ()) -> Inspection:
    """Read a file and judge it, against the first vocabulary of its width if there is one.

    Raises:
        UserError: it is no embedding; the sentence says what it is.
    """
    contents = containers.read(path)
    embedding = meaning_of(contents)
    width = embedding.vectors.shape[1]
    fitting = (v for v in vocabularies if v.table.shape[1] == width)
    vocabulary = next(fitting, None)
    wrong = tuple(_wrong(contents, embedding, vocabulary))
    return Inspection(contents.path, contents, embedding, vocabulary, wrong)


def family(embedding: Embedding) -> str:
    """The models that a word fits, by its width."""
    if embedding.clip_g is not None:
        return "Stable Diffusion XL (both text encoders)"
    width = embedding.vectors.shape[1]
    return FAMILIES.get(width, f"no model family that is known here (width {width})")


def _wrong(
    contents: Contents, embedding: Embedding, vocabulary: Vocabulary | None
) -> Iterator[str]:
    vectors = embedding.vectors
    count = len(vectors)
    norms = vectors.norm(dim=1)
    if count > PLACES:
        yield f"its {count} vectors exceed the {PLACES} places of a prompt: the last are always cut"
    elif count > PLACES // 2:
        yield f"it takes {count} of the {PLACES} places of a prompt: little else fits beside it"
    if empty := _numbered(norms == 0):
        yield f"vector {empty} is zero: it was never learned"
    if equal := _equal_pairs(vectors):
        yield f"vectors {equal} are the same: a copy of one vector adds nothing but its place"
    if vocabulary is not None:
        yield from _against_vocabulary(embedding, norms, vocabulary)
    suffixes = {"safetensors": (".safetensors",), "pickle": (".pt", ".bin", ".ckpt", ".pth")}
    if contents.path.suffix.lower() not in suffixes.get(contents.kind, (".png", ".webp")):
        yield f"it is a {contents.kind} file, though its name says otherwise: rename it"
    if any(letter in embedding.name for letter in " ,:()[]|"):
        yield f"the word {embedding.name!r} has letters that prompts use otherwise: rename it"


def _against_vocabulary(
    embedding: Embedding, norms: Tensor, vocabulary: Vocabulary
) -> Iterator[str]:
    median = vocabulary.median_norm
    if float(norms.max()) > RUN_AWAY * median:
        yield (
            f"its norms ran away, to {float(norms.max()) / median:.0f} times the vocabulary's "
            f"median of {median:.2f}: it drowns the rest of a prompt; learn it again with a lower "
            "rate, or with its norm clipped"
        )
    copies = [vocabulary.nearest(vector, 1, pieces=True)[0] for vector in embedding.vectors]
    if untrained := [word for word, cosine in copies if cosine > SAME]:
        different = list(dict.fromkeys(untrained))
        named = ", ".join(different[:4]) + (", ..." if len(different) > 4 else "")
        yield (
            f"{len(untrained)} of its {len(copies)} vectors still point where a word of the "
            f"vocabulary does ({named}): they were not learned, or hardly"
        )
    if embedding.token in vocabulary.words:
        yield (
            f"the word {embedding.token!r} is in the vocabulary: the embedding overwrites it, "
            "here and in AUTOMATIC1111"
        )


def _numbered(which: Tensor) -> str:
    return ", ".join(str(index + 1) for index in torch.nonzero(which).flatten().tolist())


def _equal_pairs(vectors: Tensor) -> str:
    pairs = [
        f"{i + 1} and {j + 1}"
        for i in range(len(vectors))
        for j in range(i + 1, len(vectors))
        if torch.equal(vectors[i], vectors[j])
    ]
    return ", ".join(pairs[:3]) + (", ..." if len(pairs) > 3 else "")


def report(inspected: Inspection, nearest: int = 3) -> str:
    """An inspection as lines for the terminal."""
    embedding, vocabulary = inspected.embedding, inspected.vocabulary
    count, width = embedding.vectors.shape
    norms = embedding.vectors.norm(dim=1).tolist()
    facts = [
        ("the word", f"{embedding.token}, {count} vector{'s' * (count > 1)} of width {width}"),
        ("written as", f"{embedding.layout} ({inspected.contents.kind}, {embedding.stored})"),
        ("made for", family(embedding)),
    ]
    said = {k: v for k, v in embedding.metadata.items() if isinstance(v, str | int | float)}
    if said:
        facts.append(("it says", ", ".join(f"{k} {v}" for k, v in said.items())[:200]))
    spread = f"{min(norms):.2f} to {max(norms):.2f}, " if count > 1 else ""
    beside = f"; the vocabulary's median is {vocabulary.median_norm:.2f}" if vocabulary else ""
    facts.append(("norm", f"{spread}mean {statistics.fmean(norms):.2f}{beside}"))
    if vocabulary:
        for number, vector in enumerate(embedding.vectors[:16]):
            words = ", ".join(f"{w} {c:.2f}" for w, c in vocabulary.nearest(vector, nearest))
            facts.append(("nearest words" if number == 0 else "", f"{number + 1:2}: {words}"))
    refused = refusals(inspected.contents, embedding)
    facts.append(("read by", ", ".join(p for p, why in refused.items() if not why) or "nobody"))
    for program, why in refused.items():
        if why:
            facts.append(("not by", f"{program}: {why}"))
    for sentence in inspected.wrong or ("nothing that shows without drawing with it",):
        facts.append(("wrong with it", sentence))
    lines, before = [str(inspected.path)], ""
    for name, value in facts:
        lines.append(f"  {'' if name == before else name:14}{value}")
        before = name or before
    return "\n".join(lines) + "\n"
