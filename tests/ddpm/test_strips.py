"""Schedules side by side, and pictures in their noise."""

import numpy as np
import pytest
import torch

from ddpm.pixels import to_tensor
from ddpm.strips import (
    compared,
    noised,
    save_strip,
    schedule_figure,
    schedule_table,
    shown_timesteps,
)
from ddpm.tables import columns_of, markdown, read_table, said, save_table

NAMES = ("linear", "scaled_linear", "squaredcos_cap_v2")


def test_what_the_published_study_left_in_x_T():
    """The square roots of alpha_bar_T that confound a study of T with linear betas as they are."""
    for count, left in ((100, 0.603), (200, 0.364), (500, 0.080)):
        raw, scaled = compared(["linear"], count, 1e-4, 0.02)
        assert float(raw.alpha_bar[-1].sqrt()) == pytest.approx(left, abs=5e-4)
        assert float(scaled.alpha_bar[-1].sqrt()) < 0.007


def test_each_schedule_is_shown_scaled_only_where_that_makes_another_one():
    told = [(one.name, one.scaled) for one in compared(NAMES, 200, 1e-4, 0.02)]
    assert told == [
        ("linear", False), ("linear", True), ("scaled_linear", False), ("scaled_linear", True),
        ("squaredcos_cap_v2", False),
    ]  # fmt: skip
    assert [one.scaled for one in compared(NAMES, 1000, 1e-4, 0.02)] == [False] * 3
    assert [one.scaled for one in compared(["linear"], 15, 1e-4, 0.02)] == [False]  # beta > 1


def test_the_figure_and_the_table_say_how_a_schedule_ends():
    schedules = compared(NAMES, 100, 1e-4, 0.02)
    figure = schedule_figure(schedules, schedules[0].alpha_bar)
    legend = figure.axes[1].get_legend()
    assert legend is not None and "= 0.603" in legend.get_texts()[0].get_text()
    table = schedule_table(schedules, 50.0)
    assert table.rows[0][2] == pytest.approx(0.603, abs=5e-4)
    assert table.rows[0][3] < 0.1 < 0.9 < table.rows[1][3]
    assert len(schedule_table(schedules, None).columns) == 3


def test_noise_grows_and_stays_the_same_noise(tmp_path):
    pictures = to_tensor(np.full((2, 8, 8, 3), 255, np.uint8))
    alpha_bar = torch.tensor([1.0, 0.5, 0.0])
    clean, half, last = noised(pictures[0], alpha_bar, [0, 1, 2])
    torch.testing.assert_close(clean, pictures[0])
    torch.testing.assert_close(half, 0.5**0.5 * (pictures[0] + last))
    rows = [("a", pictures[0], alpha_bar), ("b", pictures[1], alpha_bar)]
    save_strip(rows, [0, 1, 2], "noise", tmp_path / "strip.png")
    assert (tmp_path / "strip.png").exists()


def test_timesteps_that_are_not_there_are_not_shown():
    assert shown_timesteps([0, 50, 99, 400], 100) == [0, 50, 99]
    assert shown_timesteps([], 100) == [0, 25, 50, 74, 99]
    assert shown_timesteps([400], 2) == [0, 1]


def test_tables_are_read_back_and_say_what_is_missing(tmp_path):
    table = schedule_table(compared(NAMES, 100, 1e-4, 0.02), 50.0)
    path = save_table(table, tmp_path, "schedules")
    assert read_table(path) == table
    text = (tmp_path / "schedules.md").read_text()
    assert "| linear | 0.02 | 0.603 |" in text and markdown(table) in text
    assert [numeric for _, numeric, _ in columns_of(table)] == [False, True, True, True, True]
    assert [said(x) for x in (None, True, 3, 0.12345, 1234.5, float("nan"), "a")] == [
        "–", "yes", "3", "0.123", "1,234", "–", "a",
    ]  # fmt: skip
