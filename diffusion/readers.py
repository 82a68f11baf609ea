"""Which programs can read an embedding file, by the rules of their sources.

Each rule takes a file's contents and the word in it, and says why the program would not read it:
"" where it does. tests/diffusion/test_programs.py has the programs' loaders beside them.
"""

import re
from collections.abc import Callable

from diffusion.containers import Contents
from diffusion.formats import Embedding

PICKLES = (".pt", ".bin")
ZIP_ENTRIES = re.compile(r"^([^/]+)/((data/\d+)|version|(data\.pkl))$")


def refusals(contents: Contents, embedding: Embedding) -> dict[str, str]:
    """Program -> why it does not read the file, "" where it does."""
    return {program: rule(contents, embedding) for program, rule in READERS.items()}


def _misnamed(contents: Contents) -> str:
    suffix = contents.path.suffix.lower()
    fitting = {
        "safetensors": (".safetensors",),
        "pickle": PICKLES,
        "picture": (".png", ".webp"),
    }[contents.kind]
    return "" if suffix in fitting else f"by its name it is no {contents.kind} file"


def _automatic1111(contents: Contents, embedding: Embedding) -> str:
    """modules/textual_inversion/textual_inversion.py, load_from_file; modules/safe.py."""
    if problem := _misnamed(contents):
        return problem
    if contents.kind == "picture":
        preview = contents.path.stem.lower().endswith(".preview")
        return "it takes *.preview.png for a mere picture" if preview else ""
    if not all(ZIP_ENTRIES.match(name) for name in contents.entries):
        return "its unpickler refuses what newer versions of torch add to a file"
    if contents.kind == "pickle" and embedding.stored == "bf16":
        return "its unpickler knows bf16 in the newest version only"
    return _one_word(contents)


def _one_word(contents: Contents) -> str:
    values = contents.values
    if not isinstance(values, dict):
        return "it wants a dictionary"
    if "string_to_param" in values or {"clip_l", "clip_g"} <= set(values):
        return ""
    return "" if len(values) == 1 else "it wants one tensor only"


def _comfyui(contents: Contents, embedding: Embedding) -> str:
    """comfy/sd1_clip.py, load_embed: anything with tensors in it."""
    if contents.kind == "picture":
        return "it reads no pictures"
    return _misnamed(contents) or ("" if isinstance(contents.values, dict) else "no dictionary")


def _diffusers(contents: Contents, embedding: Embedding) -> str:
    """diffusers/loaders/textual_inversion.py, _retrieve_tokens_and_embeddings."""
    if contents.kind == "picture":
        return "it reads no pictures"
    if embedding.clip_g is not None:
        return "its two tensors have to be given to it one by one"
    values = contents.values
    if isinstance(values, dict) and "string_to_param" in values:
        named = "name" in values and "*" in getattr(values["string_to_param"], "keys", list)()
        return "" if named else "it wants a name and the entry *"
    return _misnamed(contents) or _one_word(contents)


def _kohya(contents: Contents, embedding: Embedding) -> str:
    """kohya-ss/sd-scripts, train_textual_inversion.py, load_weights: the first value."""
    if contents.kind == "picture":
        return "it reads no pictures"
    return _misnamed(contents) or ("" if isinstance(contents.values, dict) else "no dictionary")


def _invokeai(contents: Contents, embedding: Embedding) -> str:
    """invokeai/backend/textual_inversion.py; model_probe.py, TextualInversionCheckpointProbe."""
    if contents.kind == "picture":
        return "it reads no pictures"
    values = contents.values if isinstance(contents.values, dict) else {}
    known = {"string_to_token", "emb_params", "clip_g"} & set(values)
    if not known:
        return "it cannot tell the model family of one tensor under another key than emb_params"
    return _misnamed(contents)


def _onetrainer(contents: Contents, embedding: Embedding) -> str:
    """Nerogar/OneTrainer, modules/modelSetup and modules/modelLoader/mixin/EmbeddingLoaderMixin."""
    values = contents.values if isinstance(contents.values, dict) else {}
    known = "emp_params" in values or {"clip_l", "clip_g"} <= set(values)
    return "" if known else "it wants the key emp_params"


READERS: dict[str, Callable[[Contents, Embedding], str]] = {
    "AUTOMATIC1111": _automatic1111,
    "ComfyUI": _comfyui,
    "diffusers": _diffusers,
    "kohya": _kohya,
    "InvokeAI": _invokeai,
    "OneTrainer": _onetrainer,
}
"""Program -> its rule."""
