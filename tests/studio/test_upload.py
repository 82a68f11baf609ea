"""A word is sent to the Hub when that is asked for, with its card, and replaces nothing unasked."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from diffusion.formats import save_embedding
from lab.errors import UserError
from studio import cli
from studio.upload import upload


class Hub:
    """What of HfApi is used; it remembers what it was sent."""

    def __init__(self, files=(), error=None):
        self.files, self.error, self.private, self.sent = set(files), error, None, {}

    def create_repo(self, repository, *, private, exist_ok):
        if self.error:
            raise self.error
        assert exist_ok
        self.private = private

    def file_exists(self, repository, name):
        return name in self.files

    def create_commit(self, repository, operations, *, commit_message):
        self.sent = {o.path_in_repo: o.path_or_fileobj for o in operations}
        return SimpleNamespace(commit_url=f"https://huggingface.co/{repository}/commit/0")


@pytest.fixture
def word(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    path = tmp_path / "w.safetensors"
    save_embedding(path, "<w>", torch.ones(2, 8), {"steps": 40, "pictures": 7})
    return path


def send(word, hub, *, public=False, force=False):
    return upload(word, "me/w", public=public, force=force, api=hub)


def test_the_file_goes_as_it_is_with_a_card(word):
    hub = Hub()
    assert send(word, hub) == "https://huggingface.co/me/w/commit/0"
    assert hub.sent["w.safetensors"] == word.read_bytes()
    card = hub.sent["README.md"].decode()
    assert "2 vectors of width 8, learned in 40 steps from 7 pictures" in card
    assert 'weight_name="w.safetensors", token="<w>"' in card
    assert hub.private
    send(word, hub, public=True)
    assert hub.private is False


def test_a_card_that_lies_beside_the_word_is_taken_if_it_is_its_own(word):
    hub, card = Hub(), word.with_name("README.md")
    card.write_text("the card of w.safetensors")
    send(word, hub)
    assert hub.sent["README.md"] == b"the card of w.safetensors"
    card.write_text("notes about something else")
    send(word, hub)
    assert b"# <w>" in hub.sent["README.md"]


def test_what_is_there_is_replaced_only_when_that_is_asked_for(word):
    hub = Hub(files=["README.md"])
    with pytest.raises(UserError, match=r"me/w holds README\.md already"):
        send(word, hub)
    assert not hub.sent
    send(word, hub, force=True)
    assert hub.sent


def test_offline_is_respected(word, monkeypatch, capsys):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert cli.main(["embedding", "upload", str(word), "me/w"]) == 2
    assert "HF_HUB_OFFLINE is set" in capsys.readouterr().err


def test_mistakes_get_a_sentence(word, tmp_path):
    with pytest.raises(UserError, match="hf auth login"):
        send(word, Hub(error=LocalTokenNotFoundError("no token")))
    with pytest.raises(UserError, match="could not be sent to me/w: no right"):
        send(word, Hub(error=HfHubHTTPError("no right", response=Mock())))
    (tmp_path / "b.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError):
        send(tmp_path / "b.safetensors", Hub())


def test_a_pickle_is_not_passed_on(word):
    pickled = word.with_suffix(".pt")
    assert cli.main(["embedding", "convert", str(word), str(pickled), "--to", "a1111"]) == 0
    with pytest.raises(UserError, match=r"no \.safetensors file"):
        send(pickled, Hub())
