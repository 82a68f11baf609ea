"""What the pages tell people to type can be typed: commands, experiment files, settings."""

import json
import re
import shlex
from pathlib import Path

import pytest

from lab.config import load_experiment
from studio import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))
STARTS = ("pseudoword ", "accelerate launch ", "python ", "make ")


def text_of(page: Path) -> str:
    """A page; of a notebook its text, and the commands of its cells as blocks of code."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    lines = [line for cell in json.loads(text)["cells"] for line in cell["source"]]
    lines = [f"    {line[1:]}" if line.startswith("!") else line for line in lines]
    return "\n".join(line.rstrip("\n") for line in lines)


def commands() -> list[tuple[str, str]]:
    """(page, command) of every command in a block of code or between backticks."""
    found = []
    for page in [*PAGES, *NOTEBOOKS]:
        text = text_of(page).replace("\\\n", " ")
        spans = [line.removeprefix("    ") for line in text.splitlines() if line.startswith("    ")]
        spans += [
            line
            for block in re.findall(r"```\w*\n(.*?)```", text, re.S)
            for line in block.split("\n")
        ]
        spans += re.findall(r"`([^`\n]+)`", text)
        for span in spans:
            for part in span.split("&&"):
                command = part.strip()  # what begins with $ is an example of a mistake
                if command.startswith(STARTS):
                    found.append((page.name, command))
    return list(dict.fromkeys(found))


def of_program(start: str) -> list:
    return [pytest.param(c, id=f"{p}: {c}") for p, c in commands() if c.startswith(start)]


def test_there_are_commands_to_test():
    assert len(commands()) > 30


@pytest.mark.parametrize("command", of_program("pseudoword "))
def test_the_program_understands_it(command):
    words = [w for w in shlex.split(command, comments=True)[1:] if w not in ("...", "|")]
    if any(word in ("FILE", "FILE...", "{section}") or word.isupper() for word in words):
        return  # a pattern, not a command
    if len(words) == 1:  # a mention of it
        assert words[0] in (*cli.JOBS, "explain", "studio")
        return
    if words[0] == "explain":
        assert cli.main(words) == 0
        return
    arguments = cli._parse(words, cli.JOBS)
    if words[0] == "run" or words[0] in cli.JOBS:
        understood(arguments.file, arguments.overrides)


@pytest.mark.parametrize("command", of_program("accelerate launch "))
def test_a_job_can_be_launched(command):
    words = shlex.split(command, comments=True)
    job = words[words.index("-m") + 1]
    file = words[words.index("-m") + 2 :]
    assert (ROOT / job / "__main__.py").is_file()
    if file and file[0] != "FILE":
        understood(file[0].strip("'"), file[1:])


def understood(file: str, overrides: list[str]) -> None:
    if file.startswith("outputs/"):  # what a run leaves
        return
    assert (ROOT / file).is_file(), f"{file} is not there"
    load_experiment(ROOT / file, overrides, cli.models(cli.JOBS))


@pytest.mark.parametrize("command", of_program("python "))
def test_a_script_is_there(command):
    words = shlex.split(command, comments=True)
    if words[1] == "-m":
        place = words[2].replace(".", "/")
        assert (ROOT / f"{place}.py").is_file() or (ROOT / place / "__main__.py").is_file()
    else:
        script = ROOT / words[1]
        assert script.is_file() or (script / "__main__.py").is_file()


@pytest.mark.parametrize("command", of_program("make "))
def test_the_makefile_has_it(command):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for word in shlex.split(command, comments=True)[1:]:
        assert word in targets or "=" in word or not word.islower() or word == "..."
