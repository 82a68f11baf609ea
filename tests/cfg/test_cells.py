"""What a sweep consists of: the product, and places that follow from a picture's own content."""

import json
from decimal import Decimal

import pytest

from cfg.cells import Jump, Sweep, file_stem, frames_of, lines_of, listing, plain, read_listing
from cfg.config import Config

SETTINGS = {"model": "abc", "words": {}}


def configured(**settings):
    return Config.model_validate_json(json.dumps({"prompt": "a cat", **settings}))


def test_lines_are_the_product_of_everything_but_the_scale():
    config = configured(
        prompt=["a [name] cat", "a dog"],
        seed=[1, 2],
        rule=["plain", {"name": "apg", "eta": 0.5}],
        steps=[5, 7],
        negative_prompt="fog",
    )
    lines = lines_of(config, ["<v>", "<w>"])
    # [name] stands for two words in the first prompt; the second one has none
    assert len(lines) == len(set(lines)) == 3 * 2 * 2 * 2
    assert {line.prompt for line in lines} == {"a <v> cat", "a <w> cat", "a dog"}
    assert {line.word for line in lines} == {"<v>", "<w>", None}
    assert {line.template for line in lines} == {"a [name] cat", "a dog"}
    assert {line.negative_prompt for line in lines} == {"fog"}
    assert len({line.rule for line in lines}) == 2


def test_a_name_in_the_negative_prompt_counts_too():
    lines = lines_of(configured(negative_prompt="[name]"), ["<v>", "<w>"])
    assert [line.negative_prompt for line in lines] == ["<v>", "<w>"]


def test_one_prompt_and_one_seed_are_one_line():
    (line,) = lines_of(configured(seed=3), [])
    assert (line.prompt, line.seed, line.word, str(line.rule)) == ("a cat", 3, None, "plain")


def test_a_frames_place_is_its_own_whatever_else_is_in_the_sweep(tmp_path):
    scales = [Decimal("0.5"), Decimal("2")]
    (line,) = lines_of(configured(), [])
    others = lines_of(configured(prompt=["a dog", "a cat"], seed=[1, 0]), [])
    alone = frames_of(line, scales, tmp_path, SETTINGS)
    among = frames_of(others[others.index(line)], scales[1:], tmp_path, SETTINGS)
    assert (among[0].path, among[0].key) == (alone[1].path, alone[1].key)
    assert len({f.path for other in others for f in frames_of(other, scales, tmp_path, {})}) == 8
    changed = frames_of(line, scales, tmp_path, {**SETTINGS, "model": "xyz"})
    assert changed[0].path.parent != alone[0].path.parent
    assert changed[0].key != alone[0].key


def test_equal_scales_are_one_frame_however_they_are_written(tmp_path):
    (line,) = lines_of(configured(), [])
    written = [Decimal("1"), Decimal("1.00"), Decimal("1e0")]
    assert len({(f.path, f.key) for f in frames_of(line, written, tmp_path, {})}) == 1
    ten = frames_of(line, [Decimal("1e1"), Decimal("1")], tmp_path, {})
    assert ten[0].path.name == "010.00.png"
    assert ten[0].key != ten[1].key


def test_names_sort_as_the_scales_do():
    scales = [Decimal(k) / 8 for k in range(0, 400, 3)]
    assert sorted(file_stem(s) for s in scales) == [file_stem(s) for s in scales]
    assert file_stem(Decimal("-1")) == "-001.00"
    texts = ("7.50", "20", "2E+1", "0.02", "0.0")
    assert [plain(Decimal(text)) for text in texts] == ["7.5", "20", "20", "0.02", "0"]


def test_the_listing_says_everything(tmp_path):
    config = configured(prompt="a [name]", seed=[1, 2], rule=["plain", {"interval": [0.3, 5]}])
    lines = lines_of(config, ["<w>"])
    scales = tuple(Decimal(k) / 50 for k in range(4))
    frames = tuple(
        f for line in lines for f in frames_of(line, scales, tmp_path / "frames", {}, [0, 2, 3])
    )
    jump = Jump(lines[1], scales[2], scales[3], 4.5)
    sweep = Sweep(lines, scales, frames, 8, 3.0, (jump,))
    (tmp_path / "sweep.json").write_text(json.dumps(listing(sweep, tmp_path)))
    again = read_listing(tmp_path)
    assert again == sweep
    assert [str(line.rule) for line in again.lines] == [str(line.rule) for line in lines]
    assert [frame.index for frame in again.of(lines[1])] == [0, 2, 3]
    assert again.jumps_of(lines[1]) == (jump,)
    assert again.jumps_of(lines[0]) == ()


@pytest.mark.parametrize(
    ("rule", "label"),
    [
        ("apg", "apg"),
        ({"name": "apg", "eta": 0.5}, "apg, eta 0.5"),
        ({"interval": [0.28, 5.42], "schedule": "linear"}, "plain, linear, interval 0.28 to 5.42"),
    ],
)
def test_rules_have_short_labels(rule, label):
    assert str(configured(rule=rule).rules[0]) == label


def test_settings_of_another_rule_do_not_change_a_frames_key():
    """So that a new setting of one rule leaves the frames of the others where they are."""
    assert configured().rules[0].essence() == {"name": "plain"}
    assert configured(rule="rescale").rules[0].essence() == {"name": "rescale", "phi": 0.7}
