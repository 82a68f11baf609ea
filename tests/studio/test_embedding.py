"""`pseudoword embedding` in the terminal."""

import pytest
import torch
from PIL import Image

from diffusion.formats import load_embedding, save_embedding
from studio.cli import main


@pytest.fixture
def word(tmp_path):
    path = tmp_path / "wildsmith.safetensors"
    save_embedding(path, "<wildsmith>", torch.randn(2, 768) * 0.03, {"steps": 300})
    return path


def test_inspect_says_what_it_is(word, capsys):
    assert main(["embedding", "inspect", str(word)]) == 0
    said = capsys.readouterr().out
    assert "<wildsmith>, 2 vectors of width 768" in said
    assert "Stable Diffusion 1.x" in said and "steps 300" in said


def test_inspect_goes_on_after_a_file_that_is_no_embedding(word, tmp_path, capsys):
    (tmp_path / "lfs.pt").write_text("version https://git-lfs.github.com/spec/v1")
    assert main(["embedding", "inspect", str(tmp_path / "lfs.pt"), str(word)]) == 2
    said = capsys.readouterr()
    assert "lfs.pt: this is a Git LFS pointer" in said.err and "<wildsmith>" in said.out


def test_inspect_with_a_model_compares_or_says_that_it_does_not_fit(
    word, tmp_path, tiny_sd_folder, capsys
):
    save_embedding(tmp_path / "w.safetensors", "<w>", torch.randn(1, 32))
    files = [str(word), str(tmp_path / "w.safetensors")]
    assert main(["embedding", "inspect", *files, "--model", str(tiny_sd_folder)]) == 0
    said = capsys.readouterr().out
    assert f"it does not fit {tiny_sd_folder}, whose vectors have width 32" in said
    assert "the vocabulary's median is" in said


def test_convert_writes_and_says_how_a_prompt_names_it(word, tmp_path, capsys):
    out = tmp_path / "style.pt"
    assert main(["embedding", "convert", str(word), str(out), "--to", "a1111"]) == 0
    assert "in a prompt: style" in capsys.readouterr().out
    assert torch.equal(load_embedding(out).vectors, load_embedding(word).vectors)


def test_convert_overwrites_only_when_told(word, tmp_path, capsys):
    out = tmp_path / "style.pt"
    out.write_text("mine")
    command = ["embedding", "convert", str(word), str(out), "--to", "a1111"]
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err and out.read_text() == "mine"
    assert main([*command, "--force"]) == 0
    assert load_embedding(out).name == "wildsmith"


def test_convert_to_a_picture_shows_one(word, tmp_path):
    Image.new("RGB", (64, 64), "orange").save(tmp_path / "best.png")
    out = tmp_path / "style.png"
    command = ["embedding", "convert", str(word), str(out), "--to", "a1111-png", "--name", "<w2>"]
    assert main([*command, "--picture", str(tmp_path / "best.png")]) == 0
    assert load_embedding(out).name == "w2"
    with Image.open(out) as image:
        red, green, blue = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    assert red > green > blue


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["inspect", "gone.pt"], "gone.pt: there is no such"),
        (["convert", "WORD", "x.jpg", "--to", "a1111-png"], "x.jpg: a1111-png files end in .png"),
        (["convert", "WORD", "x.pt", "--to", "a1111", "--picture", "y.png"], "--picture is for"),
        (["convert", "WORD", "x.png", "--to", "a1111-png", "--picture", "y.png"], "y.png does not"),
    ],
)
def test_mistakes_are_one_sentence(word, tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    assert main(["embedding", *(str(word) if a == "WORD" else a for a in arguments)]) == 2
    assert sentence in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {word.name}


def test_a_program_that_is_not_known_is_refused(word, capsys):
    with pytest.raises(SystemExit):
        main(["embedding", "convert", str(word), "x.pt", "--to", "photoshop"])
    assert "photoshop" in capsys.readouterr().err


def test_the_programs_are_those_that_can_be_written():
    from diffusion.formats import WRITERS
    from studio.embedding import PROGRAMS

    assert tuple(WRITERS) == PROGRAMS
