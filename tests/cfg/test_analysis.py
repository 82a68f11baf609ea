"""Measures of lines that are written by hand, groups over seeds, and rules at equal match."""

import itertools

import numpy as np
import pytest

from cfg.analysis import (
    Measured,
    common_scales,
    diversity_over_seeds,
    grouped,
    mean_over_seeds,
    measure,
    metrics_of,
    settled_over_seeds,
)
from cfg.cells import Line
from cfg.comparison import compare, first_reaching, rivals
from cfg.config import Rule
from cfg.judge import Judge, load_judge, named, said_plainly
from cfg.showing import Analysis
from diffusion.config import UsesModel
from metrics import perceptual
from metrics.features import diversity

NOBODY = Judge(None, None, None, {})


def line_of(seed=0, rule="plain", prompt="a red cat in the snow"):
    return Line(prompt, prompt, "", None, seed, Rule(name=rule), 2, "ddim")


def grey(line, scale):
    """Grey that grows with the scale up to 10 and stays there."""
    return np.full((16, 16, 3), round(20 * min(scale, 10)) + line.seed, np.uint8)


def test_distances_are_those_of_the_pictures(written):
    line = line_of()
    sweep = written([line], [0, 1, 2.5, 12, 20], grey)
    measured = measure(sweep, line, NOBODY)
    assert measured.pixel == pytest.approx(np.array([20, 30, 150, 0]) / 255)
    pictures = [grey(line, s) for s in (0, 1, 2.5, 12, 20)]
    expected = [perceptual.distance(a, b) for a, b in itertools.pairwise(pictures)]
    assert measured.perceptual == pytest.approx(expected)
    assert measured.to_last == pytest.approx(
        [perceptual.distance(p, pictures[-1]) for p in pictures]
    )
    assert measured.match is None and measured.vectors is None
    lines = list(metrics_of(measured, 3))
    assert [entry["guidance_scale"] for entry in lines] == [0, 1, 2.5, 12, 20]
    assert [entry["distance"] for entry in lines][:2] == [None, pytest.approx(20 / 255)]
    assert {entry["line"] for entry in lines} == {3}


def test_scales_in_any_order_are_measured_in_rising_order(written):
    line = line_of()
    measured = measure(written([line], [2.5, 0, 1], grey), line, NOBODY)
    assert measured.scales.tolist() == [0, 1, 2.5]
    assert measured.pixel == pytest.approx(np.array([20, 30]) / 255)


def test_lines_are_grouped_by_everything_but_the_seed(written):
    lines = [line_of(seed, rule) for rule in ("plain", "apg") for seed in range(3)]
    sweep = written(lines, range(21), grey)
    groups = grouped([measure(sweep, line, NOBODY) for line in lines], Analysis())
    assert [[one.line.seed for one in group.lines] for group in groups] == [[0, 1, 2]] * 2
    assert [group.line.rule.name for group in groups] == ["plain", "apg"]
    assert groups[0].settled == (10.0, 10.0, 10.0)
    assert settled_over_seeds(groups[0]) == (10.0, (10.0, 10.0))
    assert len(rivals(groups)) == 1
    assert rivals(groups[:1]) == []


def turning(line, scale):
    """Black turns into white at scale 4 for every seed, over two tenths of a unit of scale."""
    base = 20 + 8 * np.log1p(scale) + line.seed
    share = 1 / (1 + np.exp(-(scale - 4.05) / 0.05))
    noise = np.random.default_rng(line.seed).uniform(0, 12, (16, 16, 3))
    return np.clip(base + share * 150 + noise * np.sin(scale), 0, 255).round().astype(np.uint8)


def test_a_turn_in_pictures_is_found_in_each_line_and_over_the_seeds(written):
    lines = [line_of(seed) for seed in range(5)]
    scales = [round(0.1 * k, 1) for k in range(101)]
    sweep = written(lines, scales, turning)
    (group,) = grouped([measure(sweep, line, NOBODY) for line in lines], Analysis())
    for own in group.own:
        assert [t.at for t in own] == [pytest.approx(4.05, abs=0.11)]
    (shared,) = group.shared
    assert shared.transition.at == pytest.approx(4.05, abs=0.11)
    assert shared.support == 1
    assert shared.seeds == 5


def test_one_seed_speaks_for_itself_only(written):
    sweep = written([line_of()], [round(0.1 * k, 1) for k in range(101)], turning)
    (group,) = grouped([measure(sweep, line_of(), NOBODY)], Analysis())
    assert len(group.own[0]) == 1
    assert group.shared == ()
    assert settled_over_seeds(group) is None


def test_an_adaptive_sweep_shows_the_same_turn(written):
    """Coarse where nothing happens, fine around 4: the same transition as from every scale."""
    scales = [round(0.1 * k, 1) for k in range(101)]
    rendered = [k for k in range(101) if k % 10 == 0 or 33 <= k <= 47]
    sweep = written([line_of()], scales, turning, rendered)
    (group,) = grouped([measure(sweep, line_of(), NOBODY)], Analysis())
    assert group.step == pytest.approx(0.1)
    assert [t.at for t in group.own[0]] == [pytest.approx(4.05, abs=0.11)]


def made_up(seed, vectors, match=None, rule="plain", scales=(0.0, 1.0, 2.0, 3.0)):
    count = len(scales)
    zeros = np.zeros(count)
    looks = dict.fromkeys(("saturation", "contrast", "clipped", "sharpness"), np.arange(count))
    return Measured(
        line_of(seed, rule), (), np.array(scales), zeros[1:], zeros[1:], None, zeros, looks,
        match, None, vectors,
    )  # fmt: skip


def test_diversity_over_seeds_is_the_mean_over_pairs(written):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 4, 8))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    (group,) = grouped([made_up(k, v) for k, v in enumerate(vectors)], Analysis())
    found = diversity_over_seeds(group)
    assert found is not None
    assert found[:, 0] == pytest.approx([diversity(vectors[:, k]) for k in range(4)])
    assert (found[:, 1] <= found[:, 0]).all() and (found[:, 0] <= found[:, 2]).all()
    (small,) = grouped([made_up(k, v) for k, v in enumerate(vectors[:2])], Analysis())
    assert diversity_over_seeds(small) is None


def test_means_are_taken_where_all_seeds_have_a_picture():
    a = made_up(0, None, np.array([0.0, 1, 2, 3]))
    b = made_up(1, None, np.array([2.0, 4, 6]), scales=(0.0, 2.0, 3.0))
    (group,) = grouped([a, b], Analysis())
    assert common_scales(group.lines).tolist() == [0, 2, 3]
    means = mean_over_seeds(group, "match")
    assert means is not None
    assert means[:, 0].tolist() == [1, 3, 4.5]
    assert mean_over_seeds(group, "recognised") is None


def test_rules_are_compared_where_they_match_equally_well():
    """A rule that needs twice the scale for the same match is read off at twice the scale."""
    match = np.array([0.1, 0.2, 0.3, 0.4])
    strong = [made_up(k, None, match) for k in range(2)]
    weak = [made_up(k, None, 0.1 + (match - 0.1) / 2, "apg") for k in range(2)]
    groups = grouped([*strong, *weak], Analysis())
    levels = compare(rivals(groups)[0])
    assert len(levels) == 4
    for plain, other in levels:
        assert plain.match == other.match
        assert other.scale == pytest.approx(2 * plain.scale)
        assert other.appearance["saturation"] == pytest.approx(2 * plain.appearance["saturation"])
    assert compare(grouped([made_up(0, None), made_up(0, None, rule="apg")], Analysis())) == []


def test_the_first_scale_that_reaches_a_level():
    scales, curve = np.array([0.0, 2, 4, 6]), np.array([0.0, 1, 0.5, 3])
    assert first_reaching(scales, curve, 0.75) == pytest.approx(1.5)
    assert first_reaching(scales, curve, 0) == 0
    assert first_reaching(scales, curve, 2.0) == pytest.approx(5.2)
    assert first_reaching(scales, curve, 4) is None


@pytest.mark.parametrize(
    ("prompt", "plain"),
    [("dove in the style of <w>", "dove"), ("a tree by <w-16>", "a tree"), ("a cat", "a cat"),
     ("a city of tents, <w> style", "a city of tents"), ("<w>", "<w>")],
)  # fmt: skip
def test_a_clip_is_asked_without_the_learned_word(prompt, plain):
    assert said_plainly(prompt) == plain


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("a red cat in the snow", {"subject": "cat", "setting": "snow", "colour": "red"}),
        ("two birds by the sea, ink style", {"subject": "bird", "setting": "sea", "style": "ink"}),
        ("a house with mountains in the background by <w>",
         {"subject": "house", "setting": "mountains"}),
        ("a cat and a house", {}),
        ("something", {}),
    ],
)  # fmt: skip
def test_what_a_prompt_names(prompt, said):
    assert named(prompt) == said


def test_storybooks_judge_knows_a_picture_that_fits():
    from storybook.illustrator import draw
    from storybook.world import Scene

    scenes = [Scene("cat", "red", setting="snow", time="day", style="flat"),
              Scene("boat", "blue", setting="sea", time="day", style="flat")]  # fmt: skip
    pictures = [np.asarray(draw(s, np.random.default_rng(0)).image) for s in scenes]
    judge = load_judge(Analysis(), UsesModel())
    seen = judge.look(pictures, "a red cat in the snow")
    assert seen.match is not None and seen.recognised is not None and seen.vectors is not None
    assert seen.match[0] > seen.match[1] + 0.2
    assert seen.recognised[0] > 0.9 > 0.1 > seen.recognised[1]
    assert np.linalg.norm(seen.vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert load_judge(Analysis(), UsesModel(model="CompVis/stable-diffusion-v1-4")).names == {}


def test_latents_are_compared_where_that_is_asked_for(written):
    """Equal pictures have equal latents, others have not; without the setting nothing is loaded."""
    assert load_judge(Analysis(), UsesModel()).model is None
    sweep = written([line_of()], [0, 10, 20], grey)
    measured = measure(sweep, line_of(), load_judge(Analysis(latents=True), UsesModel()))
    assert measured.latent is not None
    assert measured.latent[0] > 0.01 and measured.latent[1] == 0
    assert [line["distance_latents"] for line in metrics_of(measured, 0)][1:] == [
        pytest.approx(distance) for distance in measured.latent
    ]
