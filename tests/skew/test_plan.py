"""Which pictures are drawn: equal noise at every strength, values in balance, keys that say all."""

import json
from collections import Counter
from pathlib import Path

from lab.kept import placed_chunks
from skew.config import Config
from skew.plan import balanced, keyed, plan

VALUES = ("red", "orange", "blue")


def config(**settings):
    written = {
        "word": "cat", "prompts": ["a cat", "one cat here"], "seeds": {"start": 100, "count": 12},
        "explicit": {"prompts": ["a [value] cat"], "count": 2},
        "bystanders": {"prompts": ["a dog", "cats"], "count": 2},
        "sweep": {"strengths": [0.5], "count": 6, "explicit": 1},
        "compare": {"count": 9, "guidance_scales": [1, 4]}, **settings,
    }  # fmt: skip
    return Config.model_validate_json(json.dumps(written))


def series(strengths=(0.0, 0.5, 1.0), **settings):
    found = {}
    for one in plan(config(**settings), VALUES, strengths):
        found.setdefault(one.series, []).append(one)
    return found


def test_every_strength_has_the_same_prompts_and_noise():
    found = series()
    pairs = {name: [(one.prompt, one.seed) for one in some] for name, some in found.items()}
    assert pairs["neutral-0"] == pairs["neutral-1"]
    assert pairs["neutral-0"][:6] == pairs["neutral-0.5"]
    assert pairs["neutral-0"][:9] == pairs["guidance-1"] == pairs["guidance-4"]
    assert pairs["explicit-0"] == pairs["explicit-1"] and len(pairs["explicit-1"]) == 6
    assert pairs["explicit-0"][:3] == pairs["explicit-0.5"]
    assert pairs["bystanders-0"] == pairs["bystanders-1"] and len(pairs["bystanders-1"]) == 4
    assert {one.seed for one in found["neutral-0"]} == set(range(100, 112))


def test_without_a_learned_word_the_model_is_measured_as_it_is():
    assert {name.split("-")[-1] for name in series([0.0])} == {"0", "silent", "1", "4"}


def test_silent_words_are_in_balance_on_the_same_noise():
    found = series()
    assert Counter(one.value for one in found["silent"]) == dict.fromkeys(VALUES, 3)
    for one, neutral in zip(found["silent"], found["neutral-0"], strict=False):
        assert one.seed == neutral.seed and f"{one.value} cat" in one.prompt
        assert one.prompt.replace("an orange", "a orange").replace(f"{one.value} ", "") == (
            neutral.prompt
        )
    weighted = balanced(VALUES, 8, {"red": 2, "orange": 1, "blue": 1}, 0)
    assert Counter(weighted) == {"red": 4, "orange": 2, "blue": 2}


def keys(strengths=(0.0, 1.0), settings=None, word=("cat", "abc"), **changed):
    wanted = plan(config(**changed), VALUES, strengths)
    found = keyed(wanted, Path("x"), settings or {"steps": 3}, word, 8)
    return {(one.wanted.series, one.wanted.prompt, one.wanted.seed): one.key for one in found}


def test_a_key_changes_with_what_decides_the_pixels_and_with_nothing_else():
    one, other = keys(), keys(word=("cat", "def"))
    for (name, *_), key in one.items():
        changed = key not in other.values()
        assert changed is name.endswith(("neutral-1", "explicit-1", "bystanders-1"))
    assert not set(one.values()) & set(keys(settings={"steps": 4}).values())
    assert not set(one.values()) & set(
        keys(guidance_scale=3.0, compare={"silent": "", "guidance_scales": []}).values()
    )
    more = keys(seeds={"start": 100, "count": 40})
    assert {k for (n, *_), k in one.items() if n == "neutral-0"} <= set(more.values())


def test_bystanders_are_drawn_with_the_word_and_not_assumed_to_be_equal():
    found = keys()
    one, other = (
        {key for (name, *_), key in found.items() if name == f"bystanders-{s}"} for s in (0, 1)
    )
    assert len(one) == len(other) == 4 and not one & other


def test_batches_have_one_size_and_each_picture_at_its_place():
    pictures = keyed(plan(config(), VALUES, [0.0]), Path("x"), {}, ("cat", ""), 4)
    chunks = placed_chunks(pictures, 4, lambda one: one.wanted.scale)
    assert all(len(chunk) == 4 for chunk in chunks)
    drawn = [one for chunk in chunks for one in chunk if one]
    assert sorted(one.key for one in drawn) == sorted(one.key for one in pictures)
    for chunk in chunks:
        assert len({one.wanted.scale for one in chunk if one}) == 1
        assert all(one is None or one.place == k for k, one in enumerate(chunk))
