"""What the studio may touch: traversal, links, strange names, through its functions."""

import json
import os
import typing
from pathlib import Path

import pytest

from lab import wording
from lab.errors import UserError
from studio.cli import JOBS, models
from studio.web.places import PATHS, Places

SECRET = "secret"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with outputs/, datasets/, and a secret beside them that links lead to."""
    for folder in ("outputs/run/cfg", "datasets/book", "outside"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "outside" / "secret.png").write_text(SECRET)
    (tmp_path / "outputs" / "run" / "cfg" / "a.png").write_text("fine")
    (tmp_path / "datasets" / "book" / "b.png").write_text("fine")
    (tmp_path / "datasets" / "prefix").mkdir()
    (tmp_path / "datasets-of-others").mkdir()
    for link in ("outputs/link.png", "datasets/book/link.png"):
        (tmp_path / link).symlink_to(tmp_path / "outside" / "secret.png")
    (tmp_path / "datasets" / "away").symlink_to(tmp_path / "outside")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def places(home):
    return Places([Path("datasets")], Path("outputs"))


@pytest.mark.parametrize(
    "path", ["datasets/book", "outputs/run/cfg/a.png", "./datasets/../outputs"]
)
def test_what_is_inside_may_be_read(places, home, path):
    assert places.inside(path) == (home / path).resolve()
    assert places.inside(str(home / path)) == (home / path).resolve()


OUTSIDE = [
    "outside/secret.png", "../outside", "datasets/../outside/secret.png", "/etc/passwd", "/", "..",
    "~", "outputs/../../etc", "datasets/away/secret.png", "datasets/away", "outputs/link.png",
    "datasets/book/link.png", "datasets-of-others", ".", "datasets//..//outside/secret.png",
    "datasets/./../outside/./secret.png", "outputs/run/../../outside", "/proc/self/environ",
    "/dev/stdin", "datasets/book/../../outside/secret.png",
]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
def test_what_is_outside_may_not(places, path):
    with pytest.raises(UserError, match="is outside of the folders this studio may read"):
        places.inside(path)


STRANGE = [
    "", " ", "\x00", "datasets\x00/../outside", "datasets/book\x00.png", "a" * 5000, "a" * 300,
    "../" * 2000, "datasets/\n", "datasets/\u202egnp.b", "DATASETS/book", "Datasets/../OUTSIDE",
    "datasets/\uff0e\uff0e/outside", "datasets/\u2025/outside", "..\\outside", "%2e%2e/outside",
    "file:///etc/passwd", "http://example.org/x.png", "\\\\server\\share", "C:\\Windows", "\ud800",
    "/dev/fd/../../etc/passwd", "nothing", "~nobody-here/x",
]  # fmt: skip


@pytest.mark.parametrize("path", STRANGE, ids=lambda path: ascii(path)[:30])
def test_strange_paths_are_refused_with_a_sentence(places, path):
    with pytest.raises(UserError) as error:
        places.inside(path)
    assert 0 < len(str(error.value)) < 9000


@pytest.mark.parametrize("value", [None, 3, ["datasets"], {"a": 1}, b"datasets"])
def test_what_is_no_text_is_refused(places, value):
    for ask in (places.inside, places.name):
        with pytest.raises(UserError):
            ask(value)


@pytest.mark.parametrize("name", ["rabbit", "Peter Rabbit 2", "été", "a.b", "x" * 100, "図"])
def test_names_of_runs(places, name):
    assert places.name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".studio", "a/b", "../a", "/etc", "a\\b", "a\x00", "a\n", "x" * 101, "x.", " x",
     "a:b", "図" * 99, "\u202ex", "\ud800"],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_name(places, name):
    with pytest.raises(UserError):
        places.name(name)


@pytest.mark.parametrize("session", ["../../etc", "", "a/b", "x" * 999, "\x00", "..", "é"])
def test_uploads_lie_in_outputs(places, session):
    folder = places.uploads(session)
    assert folder.is_dir()
    assert folder.resolve().parent == places.outputs / ".studio" / "uploads"


@pytest.mark.parametrize("setting", sorted(PATHS))
@pytest.mark.parametrize(
    "path", ["outside/secret.png", "datasets/away", "/etc/passwd", "../x/../.."]
)
def test_no_setting_leads_outside(places, setting, path):
    job, *keys = setting.split(".")
    for value in (path, [path]):
        if setting == "inversion.templates" and value != path:
            continue  # a list of prompts
        section = value
        for key in reversed(keys):
            section = {key: section}
        with pytest.raises(UserError, match=setting.replace(".", r"\.")):
            places.check({"name": "x", job: section})
        with pytest.raises(UserError):
            places.check({"name": "x", "tune": {"ranges": {setting: [value]}}})


@pytest.mark.parametrize(
    "model", ["storybook", "runwayml/stable-diffusion-v1-5", "datasets/book/b.png"]
)
def test_models_that_are_bundled_or_of_the_hub_or_inside(places, model):
    places.check({"name": "x", "cfg": {"model": model, "prompt": "a cat / a dog, 2/3 of .. it"}})


def test_a_hub_id_that_is_a_folder_here_is_that_folder(places):
    with pytest.raises(UserError, match="outside"):
        places.model("outside/secret.png")


def test_a_folder_that_holds_a_link_to_outside_is_not_given_to_a_job(places, home):
    with pytest.raises(UserError, match=r"cropping\.source: .*link\.png is outside"):
        places.check({"name": "x", "cropping": {"source": "datasets/book"}})
    allowed = Places([Path("datasets"), Path("outside")], Path("outputs"))
    allowed.check({"name": "x", "cropping": {"source": "datasets/book"}})


@pytest.mark.parametrize("name", ["crops.jsonl", "metadata.jsonl"])
@pytest.mark.parametrize("key", ["file", "file_name", "mask"])
@pytest.mark.parametrize(
    "path", ["../../outside/secret.png", "/etc/hostname", "../away/secret.png"]
)
def test_a_list_that_names_files_outside_is_not_given_to_a_job(places, home, name, key, path):
    folder = home / "datasets" / "prefix"
    (folder / "b.png").write_text("fine")
    (folder / name).write_text('\ufeff{"file": "b.png", "file_name": "b.png"}\n\n[1]\nnonsense\n')
    experiment = {"name": "x", "inversion": {"data": "datasets/prefix"}}
    places.check(experiment)
    with (folder / name).open("a") as file:
        file.write(json.dumps({"file": "b.png", key: path}))
    with pytest.raises(UserError, match=r"inversion\.data: .* is outside"):
        places.check(experiment)


@pytest.mark.parametrize("link", ["new", "new/cfg", "new/cfg/metrics.jsonl"])
def test_nothing_is_written_through_a_link_in_outputs(places, home, link):
    path = home / "outputs" / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(home / "outside")
    with pytest.raises(UserError, match="leads out of outputs"):
        places.check({"name": "new", "cfg": {"prompt": "a cat"}})
    assert os.listdir(home / "outside") == ["secret.png"]


def kinds(annotation):
    """Every type that a type is made of: lists' members, alternatives, what is annotated."""
    yield annotation
    for inner in typing.get_args(annotation):
        yield from kinds(inner)


def texts(model, prefix):
    """The settings of a model that can be text."""
    for key, info in wording.settings(model).items():
        found = set(map(id, kinds(info.annotation)))
        if id(str) in found:
            yield f"{prefix}.{key}"
        for kind in kinds(info.annotation):
            if wording.is_section(kind):
                yield from texts(kind, f"{prefix}.{key}")


NO_PATHS = {
    "ddpm.film.guide.losses.family",
    "ddpm.film.guide.losses.target",
    "ddpm.guide.losses.family",
    "ddpm.guide.losses.target",
    "inversion.also.initial_words",
    "inversion.also.word",
    "cfg.device",
    "cfg.negative_prompt",
    "cfg.prompt",
    "cfg.revision",
    "cropping.captions.joiner",
    "cropping.captions.prefix",
    "cropping.captions.word_pattern",
    "cropping.labels",
    "ddpm.device",
    "inversion.balance.attribute",
    "inversion.balance.values",
    "inversion.balance.wanted",
    "inversion.captions.joiner",
    "inversion.captions.prefix",
    "inversion.captions.word_pattern",
    "inversion.device",
    "inversion.evaluate.negative_prompt",
    "inversion.evaluate.plain_template",
    "inversion.evaluate.scheduler",
    "inversion.evaluate.subjects",
    "inversion.evaluate.template",
    "inversion.initial_words",
    "inversion.previews.negative_prompt",
    "inversion.previews.prompts",
    "inversion.previews.scheduler",
    "inversion.revision",
    "inversion.train.learning_rate",
    "inversion.word",
    "sample.device",
    "sample.negative_prompt",
    "sample.plain_prompts",
    "sample.prompts",
    "sample.revision",
    "skew.attribute",
    "skew.bystanders.prompts",
    "skew.compare.silent",
    "skew.device",
    "skew.explicit.prompts",
    "skew.negative_prompt",
    "skew.prompts",
    "skew.revision",
    "skew.subject",
    "skew.subjects",
    "skew.values",
    "skew.wanted",
    "skew.word",
    "tune.objective",
    "tune.ranges",
}


def test_every_setting_that_is_text_is_known_to_be_a_path_or_none():
    """A new setting that names a file has to be added to PATHS."""
    found = [name for job, model in models(JOBS).items() for name in texts(model, job)]
    assert set(found) - NO_PATHS - PATHS == set()
    assert set(found) >= PATHS
