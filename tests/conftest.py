"""What holds for every test: no network, and no chatter from other packages."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# The networks here are tiny: a second thread saves nothing, and where other programs are at work
# the threads' spinning at barriers makes them hundreds of times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


ROOT = Path(__file__).resolve().parents[1]
# With its --cpu, accelerate starts a single process, however many are asked for (without MPI).
LAUNCH = ["accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"]
LAUNCH += ["--mixed_precision", "no", "--dynamo_backend", "no"]
LAUNCH += ["--main_process_port", "0"]  # any that is free: another launch may go on beside it


@pytest.fixture(scope="session")
def script():
    """The module of a command of the documentation, such as docs/studies.py."""

    def loaded(name: str):
        spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return loaded


@pytest.fixture
def start(tmp_path: Path):
    """Start `python -m ROOM FILE --outputs OUTPUTS`, or as many of it on the CPU as asked for."""

    def started(room: str, file: Path, outputs: Path, processes: int = 1) -> subprocess.Popen:
        module = [room]
        if processes > 1:
            module = [*LAUNCH, "--num_processes", str(processes), "-m", room]
        return subprocess.Popen(
            [sys.executable, "-m", *module, str(file), "--outputs", str(outputs)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )

    return started


HALTS = """
import os, runpy, signal, sys
from pathlib import Path

def hook(event, arguments):
    if event == "os.rename" and len(list(Path({folder!r}).glob({pattern!r}))) >= {count}:
        os.kill(os.getpid(), signal.SIGSTOP)

sys.addaudithook(hook)
sys.argv[1:1] = {words!r}
runpy.run_module({room!r}, run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def kill(tmp_path: Path, start) -> Callable[..., None]:
    """Start `python -m ROOM FILE --outputs OUTPUTS`, and end it, with all that it started, at once,
    as a machine that is switched off.

    That is in the midst of its work, however quick the machine is: as soon as `count` files are
    there that the pattern names, below `outputs`, a process stands still before it gives another
    file its name. It is killed there.
    """

    def killed(
        room: str, file: Path, outputs: Path, pattern: str, count: int = 1, processes: int = 1
    ) -> None:
        module, *words = room.split()
        halts = {"folder": str(outputs), "pattern": pattern, "count": count}
        script = HALTS.format(**halts, room=module, words=words)
        (tmp_path / "halting.py").write_text(script)
        process = start("halting", file, outputs, processes)
        first, ends = psutil.Process(process.pid), time.monotonic() + 240
        family: list[psutil.Process] = []
        while not any(_stands_still(one) for one in family):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < ends, "it did not come to that"
            time.sleep(0.01)
            family = [*first.children(recursive=True), first]
        for one in family:
            one.send_signal(signal.SIGKILL)
        process.communicate()
        psutil.wait_procs(family, timeout=60)

    return killed


def _stands_still(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def launch(start):
    """Run a room in two processes to its end, as `accelerate launch -m ROOM FILE` does."""

    def launched(room: str, file: Path, outputs: Path) -> None:
        process = start(room, file, outputs, processes=2)
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said

    return launched


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium, driven by playwright; it asks for nothing by itself."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium here")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    quiet += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=quiet)
        yield opened
        opened.close()


@pytest.fixture
def draw_noise(tmp_path: Path):
    """Write pictures of coloured noise, `00 a thing.png` and so on, into a new folder."""
    import numpy as np
    from PIL import Image

    def drawn(count: int, size: tuple[int, int]) -> Path:
        rng = np.random.default_rng(0)
        folder = tmp_path / "pictures"
        folder.mkdir()
        for k in range(count):
            pixels = rng.integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{k:02d} a thing.png")
        return folder

    return drawn


def _tiny_tokenizer(folder: Path):
    """A CLIPTokenizer that spells words letter by letter, with the real one's special tokens."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    words = [f"{letter}</w>" for letter in letters]
    tokens = [*letters, *words, "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(str(folder), model_max_length=77), len(tokens)


@pytest.fixture(scope="session")
def tiny_sd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature Stable Diffusion 1.x with random weights as a diffusers folder: 32 px, 8x8x4.

    The classes are the real ones; three steps take milliseconds. Do not write into the folder.
    """
    import diffusers
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel

    folder = tmp_path_factory.mktemp("tiny-sd")
    tokenizer, words = _tiny_tokenizer(folder / "spelling")
    parts: dict[str, Any] = dict.fromkeys(("safety_checker", "feature_extractor"))
    text: dict[str, Any] = {
        "vocab_size": words, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 77, "projection_dim": 32,
        "bos_token_id": words - 2, "eos_token_id": words - 1, "pad_token_id": words - 1,
    }  # fmt: skip
    vae: dict[str, Any] = {
        "block_out_channels": (8, 16, 16), "norm_num_groups": 4, "layers_per_block": 1,
        "down_block_types": ("DownEncoderBlock2D",) * 3, "latent_channels": 4,
        "up_block_types": ("UpDecoderBlock2D",) * 3, "sample_size": 32,
    }  # fmt: skip
    unet: dict[str, Any] = {
        "sample_size": 8, "block_out_channels": (16, 32), "layers_per_block": 1,
        "cross_attention_dim": 32, "norm_num_groups": 8, "attention_head_dim": 2,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }  # fmt: skip
    schedule: dict[str, Any] = {
        "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1,
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts["text_encoder"] = CLIPTextModel(CLIPTextConfig(**text))
        parts["vae"] = diffusers.AutoencoderKL(**vae)
        parts["unet"] = diffusers.UNet2DConditionModel(**unet)
    with torch.no_grad():  # or the prompt would hardly matter
        for name, weight in parts["unet"].named_parameters():
            weight.mul_(3 if "attn2" in name else 1)
    parts |= {"tokenizer": tokenizer, "scheduler": diffusers.PNDMScheduler(**schedule)}
    pipeline = diffusers.StableDiffusionPipeline(**parts, requires_safety_checker=False)
    pipeline.save_pretrained(folder / "model")
    return folder / "model"


@pytest.fixture(scope="session")
def in_ldm_layout():
    """A model's tensors under the names of CompVis' layout, those of a file that is shared."""
    from diffusion import ldm

    def named(model: Any) -> dict[str, Any]:
        unet, vae = model.unet.state_dict(), model.vae.state_dict()
        keys = ldm.unet_keys(unet, model.unet.config["layers_per_block"])
        state = {ldm.UNET + key: unet[name] for name, key in keys.items()}
        keys = ldm.vae_keys(vae, len(model.vae.config["block_out_channels"]))
        for name, key in keys.items():
            convolution = ldm.is_projection(name)
            state[ldm.VAE + key] = vae[name][:, :, None, None] if convolution else vae[name]
        encoder = model.text_encoder.state_dict()
        state |= {ldm.text_key(name): tensor for name, tensor in encoder.items()}
        return {key: tensor.clone().contiguous() for key, tensor in state.items()}

    return named


@pytest.fixture(scope="session")
def save_clip_tokenizer():
    """Write a CLIPTokenizer with the published number of tokens and ids of start and end. It spells
    all words but one, and fillers stand for the published merges."""

    def saved(folder: Path):
        from transformers import CLIPTokenizer
        from transformers.convert_slow_tokenizer import bytes_to_unicode

        letters = list(bytes_to_unicode().values())
        whole = ["do", "doc", "doct", "docto", "doctor</w>"]
        tokens = [*letters, *(f"{letter}</w>" for letter in letters), *whole]
        tokens += [f"filler{k}</w>" for k in range(49408 - 2 - len(tokens))]
        tokens += ["<|startoftext|>", "<|endoftext|>"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
        merges = ["d o", "do c", "doc t", "doct o", "docto r</w>"]
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
        tokenizer = CLIPTokenizer.from_pretrained(str(folder), model_max_length=77)
        tokenizer.save_pretrained(folder)
        return tokenizer

    return saved
