"""What another library says is put into a sentence."""

import pytest

from lab.errors import said_first


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("not here.\nCheck"), "not here"),
        (ValueError("cannot be had (there is no way " + "from here " * 30), "cannot be had"),
        (KeyError(), "KeyError"),
    ],
)
def test_what_an_exception_says_fits_into_a_sentence(error, said):
    assert said_first(error) == said
