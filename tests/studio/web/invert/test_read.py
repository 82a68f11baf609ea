"""What the tab Invert shows of a run: read from files that may be growing, drawn as plain HTML."""

import json
import re

import pytest
import torch

from diffusion.formats import load_embedding, save_embedding
from lab.errors import UserError
from studio import cli
from studio.web.bench import Bench
from studio.web.invert import draw
from studio.web.invert import view as seen
from studio.web.invert import word as words
from studio.web.invert.read import Look, read_learning
from studio.web.places import Places
from studio.web.queue import Queue

FELL = [0.5, 0.4, 0.3, 0.31, 0.3, 0.3, 0.3]


@pytest.fixture
def written(tmp_path):
    """A run's folder, with so many steps taken; every fifth was measured."""

    def written(steps, status="running", name="w", held=None, **section):
        folder = tmp_path / "outputs" / name / "inversion"
        folder.mkdir(parents=True, exist_ok=True)
        configuration = {"name": name, "inversion": {"word": "<w>", **section}}
        manifest = {"status": status, "configuration": configuration}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        lines = []
        for step in range(steps + 1):
            line = {"word": "<w>", "step": step}
            line |= {"loss": 0.3, "norm": 1.0 + step, "learning_rate": 0.1} if step else {}
            line |= {"objective": FELL[step // 5]} if step % 5 == 0 else {}
            line |= {"held_out": held[step // 5]} if held and step % 5 == 0 else {}
            lines.append(json.dumps(line) + "\n")
        (folder / "metrics.jsonl").write_text("".join(lines))
        return folder

    return written


@pytest.fixture
def bench(tmp_path):
    places = Places([], tmp_path / "outputs")
    return Bench(places.outputs, places, Queue(places.outputs, places, warm=False))


def test_a_run_is_read_while_it_writes(written):
    folder = written(12)
    learning = read_learning(folder)
    assert learning.status == "interrupted"  # it says running, and nobody holds its lock
    (word,) = learning.words
    assert word.step == 12 and word.objective == ((0, 0.5), (5, 0.4), (10, 0.3))
    assert word.best_step == 10 and word.norm[-1] == (12, 13.0) and not word.finished
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"word": "<w>", "step": 13, "loss": nul')
    assert read_learning(folder).words[0] == word  # half a line is none
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('l, "norm": null}\n')
    (after,) = read_learning(folder).words
    assert after.step == 13 and after.loss == word.loss  # NaN is written as null: a gap


def test_what_is_no_run_is_said_so(tmp_path):
    for content in (
        "",
        "[]",
        '{"configuration": {}}',
        '{"configuration": {"inversion": {"a": 1}}}',
    ):
        folder = tmp_path / "x" / "inversion"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").write_text(content)
        with pytest.raises(UserError, match=r"^x "):
            read_learning(folder)


def test_a_damaged_run_is_one_sentence(written, bench):
    folder = written(10)
    (folder / "previews").mkdir()
    (folder / "previews" / "step-ten.png").write_bytes(b"")
    assert read_learning(folder).words[0].looks == ()
    for text in ('{"best_step": 5}', '{"vectors": 1, "stopped": null}'):
        (folder / "learned.json").write_text(text)
        with pytest.raises(UserError, match="the files of w are damaged"):
            read_learning(folder)


def test_the_word_of_the_lowest_held_out_point_is_kept(written):
    held = [0.6, 0.41, 0.5, 0.5, 0.5, 0.5, 0.5]
    (word,) = read_learning(written(30, held=held)).words
    assert word.best_step == 5 and "lowest on the pictures held out" in word.verdict


def test_the_rules_verdict_is_said_before_the_training_ends(written):
    stop = {"earliest": 10, "patience": 2, "cooldown": 0.5}
    (word,) = read_learning(written(30, stop=stop)).words
    assert word.stopped == 25 and word.planned == 38  # half of 25 more, to cool down
    assert "So far step 10 is the best: lowest objective." in word.verdict
    assert "At step 25 the rule said that it is enough" in word.verdict
    (word,) = read_learning(written(30, stop=stop | {"rule": "never"})).words
    assert word.stopped is None and word.planned == 300
    late = stop | {"earliest": 30, "patience": 1, "cooldown": 0.25}
    assert read_learning(written(30, stop=late)).words[0].stopped == 30
    (word,) = read_learning(written(30, stop=late, train={"steps": 32})).words
    assert word.stopped is None  # the rate falls from step 26 on, and no rule is asked any more


def test_several_words_of_a_run_are_told_apart(written):
    folder = written(5, num_vectors=[1, 4])
    text = (folder / "metrics.jsonl").read_text().replace("<w>", "<w-1>")
    (folder / "metrics.jsonl").write_text(text)
    learning = read_learning(folder)
    assert [word.step for word in learning.words] == [5, 0] and learning.step == 5
    assert seen.word_of(learning, "").token == "<w-1>"
    assert seen.word_of(learning, "<w-4>").token == "<w-4>"


def test_charts_stay_inside_their_frame_and_say_their_last_value():
    curve = tuple((k, (-1) ** k * 10.0**-k) for k in range(30))
    text = draw.chart("what", [draw.Line(curve, "one", dots=True)], [draw.Mark(29, "kept")])
    points = re.search(r'points="([^"]*)"', text)
    assert points is not None
    for pair in points[1].split():
        x, y = map(float, pair.split(","))
        assert 0 <= x <= draw.WIDTH and 0 <= y <= draw.HEIGHT
    assert 'role="img"' in text and "at step 29: one -1.0e-29" in text
    flat = draw.chart("flat", [draw.Line(((0, 2.0),), "one")])
    assert "nan" not in flat.lower() and "inf" not in flat.lower()
    assert len(draw.thinned(tuple((k, 0.0) for k in range(99_999)))) <= draw.MOST_POINTS + 1
    assert draw.smoothed(tuple((k, float(k)) for k in range(30)))[0] == (24, 12.0)


def test_whatever_a_run_says_is_text_and_no_tags(written, tmp_path):
    evil = '"><script>alert(1)</script>'
    folder = written(10, previews={"prompts": [f"{evil} [name]"]}, name="x&y")
    line = {
        "step": 10,
        "vocabulary_norm": 0.4,
        "vectors": [{"norm": 1.0, "nearest": [[evil, 0.5]]}],
    }
    (folder / "vectors.jsonl").write_text(json.dumps(line) + "\n")
    (folder / "previews").mkdir()
    (folder / "previews" / "step-000000.png").write_bytes(b"")
    learning = read_learning(folder)
    shown = "".join(seen.shown_of(learning, learning.words[0], 2.0).parts)
    assert "<script" not in shown and "&lt;script" in shown and "x%26y" in shown
    look = Look("step 0", tmp_path / 'a"b.png', 1)
    assert '"b.png' not in draw.strip([look], ["p"], "<w>")


def test_speed_is_that_of_the_last_seconds():
    now = [0.0]
    speed = seen.Speed(lambda: now[0])
    assert speed.of("w", 0) is None
    for second in range(1, 101):
        now[0] = float(second)
        rate = speed.of("w", 10 * second if second < 60 else 600 + 2 * (second - 60))
    assert rate == pytest.approx(2, rel=0.05)
    assert speed.of("w", 3) is None  # it began anew


@pytest.mark.parametrize("program", [one.name for one in words.PROGRAMS])
def test_every_programs_file_holds_the_word(bench, written, program, monkeypatch, capsys):
    def called(command, **_):
        code = cli.main(command[3:])
        said = capsys.readouterr()
        return words.subprocess.CompletedProcess(command, code, said.out, said.err)

    monkeypatch.setattr(words.subprocess, "run", called)
    folder = written(10, status="complete", num_vectors=2)
    vectors = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))
    save_embedding(folder / "w.safetensors", "<w>", vectors)
    (folder / "learned.json").write_text(json.dumps({
        "word": "<w>", "steps": 10, "planned": 10, "stopped": None, "best_step": 10,
        "history": [[0, 0.5, None], [5, 0.4, None], [10, 0.3, None]], "vectors": {},
    }))  # fmt: skip
    learning = read_learning(folder)
    parcel = words.parcel(bench, learning, learning.words[0], program)
    read = load_embedding(parcel.path)
    torch.testing.assert_close(read.vectors, vectors, rtol=0, atol=0)
    assert parcel.path.is_relative_to(bench.outputs / ".studio") and "{" not in parcel.use
    sweep = words.onward(learning, learning.words[0])["cfg"]
    assert sweep["prompt"].endswith("<w>") and sweep["words"] == [str(folder / "w.safetensors")]


def test_a_word_outside_of_outputs_is_not_handed_out(bench, written, tmp_path):
    folder = written(10, status="interrupted")
    learning = read_learning(folder)
    with pytest.raises(UserError, match="nothing to download yet"):
        words.parcel(bench, learning, learning.words[0], "kohya")
    with pytest.raises(UserError, match="not learned to its end"):
        words.onward(learning, learning.words[0])
    save_embedding(tmp_path / "secret.safetensors", "<w>", torch.ones(1, 32))
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "best-w.safetensors").symlink_to(tmp_path / "secret.safetensors")
    learning = read_learning(folder)
    with pytest.raises(UserError, match="outside of the folders"):
        words.parcel(bench, learning, learning.words[0], "ComfyUI")
    with pytest.raises(UserError, match="choose one of"):
        words.parcel(bench, learning, learning.words[0], "../../x")
