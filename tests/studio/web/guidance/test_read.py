"""What the tab Guidance finds: words in files, and the lines, scales and curves of a folder."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
import torch

from cfg.config import Config
from diffusion.formats import Embedding, convert, load_embedding, save_embedding
from lab.run import write_json
from studio.web.guidance.form import Form, experiment_of
from studio.web.guidance.read import between, payload, read_sweep, sweeps
from studio.web.guidance.words import find_words, word_in
from studio.web.places import Places


def form(**said):
    return Form(**{"prompt": "a bird", **said})


def begun(outputs, name, section):
    resolved = Config.model_validate_json(json.dumps(section)).model_dump(
        mode="json", by_alias=True
    )
    write_json(outputs / name / "cfg" / "manifest.json", {"configuration": {"cfg": resolved}})


# --- words


def test_words_are_called_what_the_program_calls_them(tmp_path):
    vectors = torch.randn(2, 8)
    dove = Embedding("<dove>", vectors)
    save_embedding(tmp_path / "own.safetensors", "<dove>", vectors, {})
    for to, suffix in (("a1111", "pt"), ("a1111", "safetensors"), ("kohya", "pt"),
                       ("onetrainer", "safetensors"), ("diffusers", "bin")):  # fmt: skip
        convert(dove, tmp_path / f"{to}.{suffix}", to)
    old = {"string_to_token": {"*": 265}, "string_to_param": {"*": vectors}, "name": "heron"}
    torch.save(old, tmp_path / "zip.pt")
    torch.save(vectors, tmp_path / "bare.pt")
    torch.save({"<finch>": vectors[0]}, tmp_path / "learned_embeds.bin")
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    assert len(files) == 9
    for path in files:
        assert word_in(path) == load_embedding(path).token, path.name
    for name in ("bad.pt", "empty.pt", "cut.safetensors"):
        (tmp_path / name).write_bytes(b"\x80\x02hello"[: 0 if name == "empty.pt" else None])
        assert word_in(tmp_path / name) is None


def test_words_outside_of_the_folders_are_not_found(tmp_path):
    vectors = torch.zeros(1, 8)
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    save_embedding(outside / "secret.safetensors", "<secret>", vectors)
    save_embedding(inside / "bird" / "inversion" / "bird.safetensors", "<bird>", vectors)
    (inside / "link.safetensors").symlink_to(outside / "secret.safetensors")
    (inside / "folder").symlink_to(outside)
    (found,) = find_words(Places([], inside))
    assert (found.token, found.owner) == ("<bird>", "bird")


# --- the folder


def about(seed, rule="plain"):
    return {
        "prompt": "a bird", "negative_prompt": "", "template": "a bird", "word": None,
        "seed": seed, "rule": {"name": rule}, "steps": 25, "scheduler": "ddim",
    }  # fmt: skip


def test_a_sweep_that_is_being_drawn_shows_what_is_there_and_what_is_missing(tmp_path, drawn):
    begun(tmp_path, "x", experiment_of(form(last=2, step=0.5, seeds="7, 3")))
    assert read_sweep(tmp_path, "x").strips == ()
    frames = tmp_path / "x" / "cfg" / "frames"
    drawn(frames / "line-1", about(3), [0, 2])
    drawn(frames / "line-2", about(7), [0, 1, 2])
    (frames / "line-1" / ".tmp-12.png").write_bytes(b"half of a picture")
    drawn(tmp_path / "x-between" / "cfg" / "frames" / "line-1", about(3), [0.5, 2])
    shown = read_sweep(tmp_path, "x")
    assert shown.scales == tuple(map(Decimal, ("0", "0.5", "1", "1.5", "2")))
    assert [strip.label for strip in shown.strips] == ["seed 7", "seed 3"]  # as was written
    assert [strip.drawn for strip in shown.strips] == [(0, 2, 4), (0, 4)]
    assert [strip.between for strip in shown.strips] == [(), (1,)]
    assert sweeps(tmp_path) == ["x"]
    told = payload(shown)
    for line in told["lines"]:
        for place in line["drawn"]:
            path = Path(line["base"].partition("=")[2]) / f"{told['stems'][place]}.png"
            assert path.is_file()
    assert json.loads(json.dumps(told)) is not None


def test_frames_alone_are_a_sweep_and_what_is_no_frame_is_left_out(tmp_path, drawn):
    frames = tmp_path / "x" / "cfg" / "frames"
    drawn(frames / "odd line", {}, [0, 0.25, 7])
    (frames / "odd line" / "cover.png").write_bytes(b"")
    (frames / "odd line" / "7.png").write_bytes(b"")
    (frames / "empty").mkdir()
    (frames / "note.txt").write_text("?")
    shown = read_sweep(tmp_path, "x")
    assert shown.scales == tuple(map(Decimal, ("0", "0.25", "7")))
    (strip,) = shown.strips
    assert (strip.label, strip.drawn) == ("odd line", (0, 1, 2))
    with pytest.raises(LookupError):
        between(tmp_path, "x", [Decimal(1)])


def test_curves_and_transitions_belong_to_their_own_line(tmp_path, drawn):
    folder = tmp_path / "x" / "cfg"
    section = experiment_of(form(last=2, step=1, seeds="1, 2"))
    begun(tmp_path, "x", section)
    for seed in (1, 2):
        drawn(folder / "frames" / f"l{seed}", about(seed), [0, 1, 2])
    listing = {
        "scales": ["0", "1", "2"], "lines": [{**about(s), "jumps": []} for s in (1, 2)],
        "frames": [{"file": f"frames/l{s}/000.00.png", "line": s - 1} for s in (1, 2)],
    }  # fmt: skip
    rows = [
        {"line": line, "guidance_scale": s, "distance_seen": 10 * line + s if s else None,
         "match": 0.1 * s}
        for line in (0, 1) for s in (0.0, 1.0, 2.0)
    ]  # fmt: skip
    turn = {"at": 1.5, "low": 1.0, "high": 2.0, "factor": 3.0}
    group = {
        **about(1), "seeds": [1, 2], "transitions_of_each_seed": [[], [turn]],
        "shared_transitions": [
            {**turn, "interval": [1.2, 1.8], "support": 1.0},
            {**turn, "at": 0.5, "interval": [0, 1], "support": 0.5},
        ],
    }  # fmt: skip
    write_json(folder / "sweep.json", listing)
    write_json(folder / "analysis.json", {"groups": [group]})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"li')
    first, second = read_sweep(tmp_path, "x").strips
    assert first.curves["speed"] == [(0.5, 1.0), (1.5, 2.0)]
    assert second.curves["speed"] == [(0.5, 11.0), (1.5, 12.0)]
    assert second.curves["match"] == [(0.0, 0.0), (1.0, 0.1), (2.0, 0.2)]
    assert first.transitions == ()
    assert second.transitions == ((1.5, 1.0, 2.0, 3.0),)
    assert first.shared == second.shared == ((1.5, 1.2, 1.8),)
