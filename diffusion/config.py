"""What every job that draws with a Stable Diffusion, or teaches one, is told about it."""

from typing import Annotated, Literal

from pydantic import Field

from lab.config import Section

SchedulerName = Literal[
    "ddim", "ddim_eta1", "ddpm", "pndm", "euler", "euler_a", "heun", "dpm++", "unipc"
]
"""The keys of `SCHEDULERS` in stable_diffusion.py."""
Memory = Literal["auto"] | Annotated[float, Field(gt=0)]


class UsesModel(Section):
    """The model and how it is computed: settings that a job's own come after."""

    model: str = "storybook"
    """"storybook" (bundled), a diffusers folder, a single .safetensors or .ckpt file, or a hub id
    of a Stable Diffusion 1.x."""
    revision: str = ""
    """A hub id's branch, tag or commit; empty: its main branch."""
    vae: str = ""
    """Another autoencoder in the place of the model's own: a file, a folder, or a hub id such as
    stabilityai/sd-vae-ft-mse."""
    tokenizer: str = ""
    """Folder with vocab.json and merges.txt, for a model that is a single file; empty: tokenizer/
    beside the file, else Stable Diffusion's own from the Hugging Face cache."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """Numbers the model computes in; auto: fp32 on a CPU, fp16 on a GPU."""
    attention: Literal["auto", "sdpa", "xformers", "plain"] = "auto"
    """Implementation of attention; auto is PyTorch's own (sdpa)."""
    memory: Memory = "auto"
    """What the work may take on the device, in GB: 6, 8, 12 or 24 to plan as for such a card; auto:
    what is free on the GPU, and on a CPU nothing is chosen by memory. It limits batch sizes that
    are auto."""


class Draws(UsesModel):
    """A job that draws what prompts say."""

    width: int = Field(default=0, ge=0, le=4096)
    """Of a picture, in px; 0: what the model was trained on."""
    height: int = Field(default=0, ge=0, le=4096)
    """Of a picture, in px; 0: what the model was trained on."""
    channels_last: Literal["auto"] | bool = "auto"
    """Keep a picture's channels beside each other in memory, which changes the last bits of what is
    drawn; auto: in bf16 on a CPU, the one place where it was measured to be faster. No GPU was."""
    prompt_weights: bool = False
    """Read prompts as AUTOMATIC1111 does: (word) counts 1.1 times, (word:1.3) 1.3 times, [word]
    1 / 1.1 times, \\( is a bracket; BREAK begins another 75 tokens, and a long prompt does so by
    itself. Otherwise prompts are literal, and cut after 75 tokens."""
