"""The rules of the house, checked so that nobody has to remember them."""

import ast
import configparser
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import wording
from lab.config import load_experiment
from studio.cli import JOBS, models
from studio.schema import schema_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FUNCTION, LONGEST_FILE = 60, 400


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def words(section: str, key: str) -> list[str]:
    lines = setup_cfg()[section][key].splitlines()
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


PACKAGES = [pattern.removesuffix("*") for pattern in words("options.packages.find", "include")]
SOURCES = [
    path
    for folder in [*PACKAGES, "tests", "benchmarks"]
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_the_rules_look_at_something():
    assert len(SOURCES) > 20
    assert {"lab", "studio"} <= set(PACKAGES)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_and_functions_are_short(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) < LONGEST_FILE, f"{name_of(path)} has {len(lines)} lines"
    for function in functions(path):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        assert length < LONGEST_FUNCTION, f"{function.name} has {length} lines"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_names_say_what_is_inside(path):
    assert not set(path.relative_to(ROOT).with_suffix("").parts) & {
        "utils",
        "util",
        "common",
        "helpers",
        "misc",
    }


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_is_left_for_later(path):
    text = path.read_text(encoding="utf-8")
    for mark in ("TO" + "DO", "FIX" + "ME", "X" + "XX", "NotImplemented" + "Error("):
        assert mark not in text, f"{name_of(path)} contains {mark}"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is(package):
    for path in sorted((ROOT / package).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert not text or ast.get_docstring(ast.parse(text)), name_of(path)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_the_studio_imports_gradio_and_it_no_torch(path):
    """The page's server is light; what computes runs in a process of its own."""
    packages = {name.partition(".")[0] for name in imported(path)}
    assert "gradio" not in packages or "studio" in path.relative_to(ROOT).parts
    if path.is_relative_to(ROOT / "studio" / "web"):
        assert not packages & {"torch", "diffusers", "transformers", "accelerate"}


def test_data_folders_hold_no_code():
    """`datasets` would become a package that other libraries take for theirs."""
    for folder in ("datasets", "experiments", "outputs"):
        assert list((ROOT / folder).rglob("*.py")) == []


def test_tests_are_no_packages():
    """A package `tests/cfg` would be taken for the package `cfg`."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_metadata_is_in_one_place():
    """A [project] table beside setup.cfg's metadata crashes setuptools 75-84."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        pyproject = tomllib.load(file)
    assert "project" not in pyproject
    assert pyproject["build-system"]["build-backend"] == "setuptools.build_meta"


def test_every_package_is_shipped_and_has_its_layer():
    there = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert there == set(PACKAGES)
    assert set(words("importlinter", "root_packages")) == set(PACKAGES)
    layers = {
        name.strip()
        for layer in words("importlinter:contract:layers", "layers")
        for name in layer.split("|")
    }
    assert layers == set(PACKAGES)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned():
    pins = {
        canonical(line.split("==")[0])
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    extras = [words("options.extras_require", extra) for extra in ("test", "dev")]
    for requirement in [*words("options", "install_requires"), *extras[0], *extras[1]]:
        name = canonical(re.split(r"[\[<>=!~ ]", requirement)[0])
        assert name in pins | {"pseudoword"}, f"{name} is not in constraints.txt"


# --- configuration


def test_configuration_is_read_without_torch():
    """`pseudoword --help` and a mistake in a file answer at once."""
    modules = ["studio.cli", *(f"{package}.config" for package in JOBS.values())]
    heavy = {"torch", "diffusers", "transformers", "accelerate", "cv2", "moviepy", "gradio"}
    code = (
        f"import sys, {', '.join(modules)}\n"
        f"loaded = {heavy!r} & set(sys.modules)\n"
        "sys.exit(' '.join(loaded) or None)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr


def test_every_setting_is_explained():
    def unexplained(model, prefix: str) -> Iterator[str]:
        if not model.__doc__:
            yield prefix
        for key, info in wording.settings(model).items():
            if not info.description:
                yield f"{prefix}.{key}"
            for member in wording.members(info):
                if wording.is_section(member):
                    yield from unexplained(member, f"{prefix}.{key}")

    for section, model in models(JOBS).items():
        assert list(unexplained(model, section)) == []


def test_the_schema_is_current():
    current = (ROOT / "experiments" / "schema.json").read_text(encoding="utf-8")
    assert current == schema_text(), "run `make schema`"
    json.loads(current)


EXPERIMENTS = sorted((ROOT / "experiments").glob("*.yaml"))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name_of)
def test_every_experiment_is_valid_and_names_the_schema(path):
    load_experiment(path, [], models(JOBS))
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=schema.json"
