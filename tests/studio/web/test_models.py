"""Which models the studio offers."""

from pathlib import Path

from studio.web import models
from studio.web.places import Places


def test_models_of_the_folders_and_of_the_cache_are_offered_and_words_are_not(
    tmp_path, monkeypatch
):
    root, cache = tmp_path / "mine", tmp_path / "hub"
    for folder in (root / "sd", cache / "models--owner--sd-1-5" / "snapshots" / "abc",
                   tmp_path / "outputs" / "run"):  # fmt: skip
        folder.mkdir(parents=True)
        (folder / "model_index.json").write_text("{}")
    (root / "word.safetensors").write_bytes(b"small")
    with (root / "sd" / "whole.safetensors").open("wb") as file:
        file.truncate(models.LARGE + 1)  # sparse: it takes no room
    monkeypatch.setattr(models, "HF_HUB_CACHE", str(cache))
    found = models.model_choices(Places([root], tmp_path / "outputs"))
    assert found[0][1] == "storybook"
    assert [Path(value) for _, value in found[1:3]] == [root / "sd", root / "sd/whole.safetensors"]
    assert found[3:] == [("owner/sd-1-5", "owner/sd-1-5")]
