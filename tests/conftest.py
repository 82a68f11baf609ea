"""What holds for every test: no network, and no chatter from other packages."""

import importlib.util
import json
import multiprocessing
import multiprocessing.connection
import os
import runpy
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
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


BEGINS = """
import os, runpy, signal, sys
from pathlib import Path

os.environ.clear()
os.environ.update({environment!r})
os.chdir({place!r})
os.dup2(os.open({said!r}, os.O_WRONLY | os.O_CREAT), 2)
{before}
sys.argv[1:] = {words!r}
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""
HALTS = """
def halt(event, arguments):
    if event == "os.rename" and len(list(Path({folder!r}).glob({pattern!r}))) >= {count}:
        os.kill(os.getpid(), signal.SIGSTOP)

sys.addaudithook(halt)
"""


@dataclass(frozen=True)
class Started:
    """The processes of a launch; `said` has what each writes to stderr."""

    processes: list[BaseProcess]
    said: list[Path]

    def failed(self) -> bool:
        return any(process.exitcode for process in self.processes)

    def sentences(self) -> str:
        return "\n".join(path.read_text() for path in self.said if path.exists())

    def end(self) -> None:
        """All of them at once, with all that they started, as a machine that is switched off."""
        family: list[psutil.Process] = []
        for process in self.processes:
            with suppress(psutil.NoSuchProcess):
                first = psutil.Process(process.pid)
                family += [*first.children(recursive=True), first]
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(family, timeout=60)
        for process in self.processes:
            process.join()


@pytest.fixture(scope="session")
def warm() -> Any:
    """Processes that begin with all that the jobs import, torch and diffusers for the most part:
    they are forks of one that has done nothing else, and so begin at once."""
    context = multiprocessing.get_context("forkserver")
    rooms = ("cropping", "inversion", "cfg", "ddpm", "sampling", "skew")
    context.set_forkserver_preload([f"{room}.job" for room in rooms])
    return context


@pytest.fixture
def start(tmp_path: Path, warm: Any) -> Callable[..., Started]:
    """Start `python -m ROOM FILE --outputs OUTPUTS` as often as asked for, as processes that know
    of each other in the way of `accelerate launch`; `before` is Python for each to run first."""

    def started(
        room: str, file: Path, outputs: Path, processes: int = 1, before: str = ""
    ) -> Started:
        module, *words = room.split()
        told = {"module": module, "words": [*words, str(file), "--outputs", str(outputs)]}
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        if processes > 1:
            environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
            environment |= {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
        begun = Started([], [])
        for k in range(processes):
            if processes > 1:
                environment |= {"RANK": str(k), "LOCAL_RANK": str(k)}
            said, script = tmp_path / f"said-{k}.txt", tmp_path / f"begins-{k}.py"
            said.unlink(missing_ok=True)
            surroundings = {"environment": environment, "place": str(tmp_path), "said": str(said)}
            script.write_text(BEGINS.format(**told, **surroundings, before=before))
            process = warm.Process(
                target=runpy.run_path, args=(str(script),), kwargs={"run_name": "__main__"}
            )
            process.start()
            begun.processes.append(process)
            begun.said.append(said)
        return begun

    return started


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def launch(start: Callable[..., Started]) -> Callable[..., None]:
    """Run a room in two processes to its end."""

    def launched(room: str, file: Path, outputs: Path, processes: int = 2) -> None:
        begun, ends = start(room, file, outputs, processes), time.monotonic() + 240
        try:
            while any(process.exitcode is None for process in begun.processes):
                assert not begun.failed(), begun.sentences()
                assert time.monotonic() < ends, "it did not end\n" + begun.sentences()
                alive = [one.sentinel for one in begun.processes if one.exitcode is None]
                multiprocessing.connection.wait(alive, timeout=1)
            assert not begun.failed(), begun.sentences()
        finally:
            begun.end()

    return launched


@pytest.fixture
def accelerate_launch(tmp_path: Path) -> Callable[..., None]:
    """Run a room in two processes to its end with `accelerate launch -m ROOM FILE` itself."""

    def launched(room: str, file: Path, outputs: Path) -> None:
        words = [*LAUNCH, "--num_processes", "2", "-m", room, str(file), "--outputs", str(outputs)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        ended = subprocess.run(
            [sys.executable, "-m", *words], cwd=tmp_path, env=environment, timeout=240,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr

    return launched


@pytest.fixture
def kill(start: Callable[..., Started]) -> Callable[..., None]:
    """Start `python -m ROOM FILE --outputs OUTPUTS`, and end it in the midst of its work, however
    quick the machine is.

    As soon as `count` files are there that the pattern names, below `outputs`, a process stands
    still before it gives another file its name. All of them are killed then.
    """

    def killed(
        room: str, file: Path, outputs: Path, pattern: str, count: int = 1, processes: int = 1
    ) -> None:
        before = HALTS.format(folder=str(outputs), pattern=pattern, count=count)
        begun, ends = start(room, file, outputs, processes, before), time.monotonic() + 240
        try:
            while not any(_stands_still(process) for process in begun.processes):
                assert all(one.exitcode is None for one in begun.processes), begun.sentences()
                assert time.monotonic() < ends, "it did not come to that\n" + begun.sentences()
                time.sleep(0.01)
        finally:
            begun.end()

    return killed


def _stands_still(process: BaseProcess) -> bool:
    try:
        return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


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
