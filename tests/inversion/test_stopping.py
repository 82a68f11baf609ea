"""Laws of the rules that say when it is enough, and of the rates around that."""

import numpy as np
import pytest
from pydantic import ValidationError

from inversion.config import Objective, Stop, Train
from inversion.objective import interval
from inversion.rates import learning_rate, parse
from inversion.stopping import (
    RULES,
    Ending,
    Measured,
    early_ending,
    is_enough,
    planned_ending,
)


def speaks_at(values, rule="plateau", every=10, **settings):
    """The step of the first measurement at which the rule says that it is enough."""
    stop = Stop(rule=rule, **({"earliest": 0, "patience": 1} | settings))
    history = []
    for k, value in enumerate(values):
        history.append(Measured(k * every, value))
        if is_enough(history, stop):
            return k * every
    return None


def falling(pace, count=100, low=0.2, high=0.3):
    return low + (high - low) * np.exp(-np.arange(count) / pace)


@pytest.mark.parametrize("rule", ["plateau", "dvar"])
def test_a_curve_that_falls_to_a_floor_ends_after_its_fall(rule):
    step = speaks_at(falling(4), rule)
    assert step is not None and 30 <= step <= 200
    assert speaks_at(falling(16), rule) > step  # slower learning ends later


@pytest.mark.parametrize("rule", ["plateau", "dvar"])
def test_a_rule_has_no_unit(rule):
    """Neither the size of the loss nor its level matters."""
    curve = falling(5)
    assert speaks_at(curve, rule) == speaks_at(1000 * curve + 7, rule)


def test_plateau_is_the_same_share_of_any_pace():
    """Ten times slower learning ends ten times later."""
    fast, slow = speaks_at(falling(20, 2000), every=1), speaks_at(falling(200, 2000), every=1)
    assert slow == pytest.approx(10 * fast, rel=0.05)


def test_a_straight_fall_is_never_enough():
    assert speaks_at(np.linspace(0.3, 0.2, 200)) is None
    assert speaks_at(np.linspace(0.3, 0.2, 200), "dvar") is None


def test_plateau_waits_where_nothing_is_gained():
    assert speaks_at(np.full(50, 0.3)) is None
    assert speaks_at(np.linspace(0.3, 0.4, 50)) is None


def test_never_never_speaks():
    assert speaks_at(falling(1), "never") is None
    assert set(RULES) == {"plateau", "dvar", "never"}


def test_dvar_is_the_ratio_of_variances():
    """Voronov et al. 2023, section 3.3."""
    values = np.array([5.0, 1.0, 1.2, 0.8, 1.0, 1.1])
    steps = np.arange(6) * 10
    ratio = np.var(values[3:]) / np.var(values)  # the steps from 0.6 x 50 = 30 on
    for tolerance, said in ((ratio * 1.01, True), (ratio * 0.99, False)):
        assert RULES["dvar"](steps, values, Stop(window=0.4, tolerance=tolerance)) is said


def test_no_rule_is_asked_before_its_time():
    history = [Measured(10 * k, value) for k, value in enumerate(falling(1, 20))]
    assert is_enough(history, Stop(earliest=190, patience=1))
    assert not is_enough(history, Stop(earliest=191, patience=1))


def test_patience_asks_for_as_many_measurements_in_a_row():
    steps = [speaks_at(falling(4), patience=patience) for patience in (1, 2, 5)]
    assert steps == [steps[0], steps[0] + 10, steps[0] + 40]
    bump = falling(4)
    first = speaks_at(bump) // 10
    bump[first + 1] -= 0.05  # a fall, just after the rule spoke for the first time
    assert speaks_at(bump) == 10 * first
    assert speaks_at(bump, patience=2) > 10 * (first + 1)


def test_the_best_is_judged_by_the_pictures_held_out():
    assert Measured(1, 0.5, 0.7).judged == 0.7
    assert Measured(1, 0.5).judged == 0.5


def test_measuring_costs_at_most_a_twentieth():
    for pictures, batch, held in ((16, 8, 0.0), (16, 8, 0.1), (5, 3, 0.0), (64, 1, 0.2)):
        every = interval(Objective(pictures=pictures, held_out=held), batch)
        measured = pictures * (2 if held else 1)
        assert measured / (2 * batch * every) <= 0.05
    assert interval(Objective(every=7), 8) == 7


def test_the_rate_falls_to_nearly_zero_at_the_end():
    train, stop = Train(steps=100, learning_rate=0.01), Stop(cooldown=0.25)
    ending = planned_ending(train, stop)
    assert ending == Ending(80, 20)
    rates = [learning_rate(train, step, ending) for step in range(100)]
    assert rates[:80] == [0.01] * 80
    assert rates[80:] == pytest.approx([0.01 * (20 - k) / 21 for k in range(20)])


def test_an_early_ending_cools_down_in_a_share_of_the_steps_so_far():
    train = Train(steps=100)
    assert early_ending(40, train, Stop(cooldown=0.25)) == Ending(40, 10)
    assert early_ending(40, train, Stop(cooldown=0.0)).last == 40
    assert early_ending(90, train, Stop(cooldown=0.5)).last == 100  # no more than there are
    free = Train(steps=100, optimizer="schedule_free")
    assert early_ending(40, free, Stop(cooldown=0.25)).last == 40


def test_what_falls_anyway_needs_no_cool_down():
    for settings in ({"schedule": "cosine"}, {"learning_rate": "0.1:50, 0.01"}):
        assert planned_ending(Train(steps=100, **settings), Stop()) == Ending(100, 0)


def test_automatic1111s_rates():
    train = Train(steps=2000, learning_rate="0.005:100, 1e-3:1000, 1e-5")
    steps = {0: 0.005, 99: 0.005, 100: 1e-3, 999: 1e-3, 1000: 1e-5, 1999: 1e-5}
    assert {step: learning_rate(train, step) for step in steps} == steps
    assert parse("0.005") == ((0.005, None),)


def test_the_rate_warms_up():
    train = Train(learning_rate=0.1, warmup=4)
    assert [learning_rate(train, k) for k in range(5)] == pytest.approx(
        [0.025, 0.05, 0.075, 0.1, 0.1]
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fast", "'fast', not RATE:STEP"),
        ("0.1:ten", "not RATE:STEP"),
        ("-0.1", "above 0"),
        ("0.1:100, 0.01:100", "should rise"),
        ("0.1, 0.01", "should rise"),
        ("0.1:100", "ends at step 100, but there are 300"),
    ],
)
def test_rates_that_are_none_are_refused_with_a_sentence(text, sentence):
    with pytest.raises(ValidationError, match=sentence):
        Train(learning_rate=text)
    with pytest.raises(ValidationError, match="schedule should be constant"):
        Train(learning_rate="0.1", schedule="cosine")
