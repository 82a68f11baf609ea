"""How long work will take, in words, and how a call is timed."""

import pytest

from lab.forecast import duration, seconds_of


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "1 s"),
        (89, "89 s"),
        (90, "2 min"),
        (5399, "90 min"),
        (5400, "1.5 h"),
        (3 * 86400, "3 days"),
        (2e9, "63 years"),
    ],
)
def test_a_time_is_said_as_people_say_it(seconds, said):
    assert duration(seconds) == said


def test_what_is_only_queued_is_waited_for():
    done = []
    assert seconds_of(lambda: done.append("call"), 2, wait=lambda: done.append("wait")) >= 0
    assert done == ["call", "wait"] * 2
