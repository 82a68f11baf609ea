"""Every value of an attribute counts the same, whatever a folder holds of it."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from inversion import job
from inversion.balance import balanced, sentence, without
from inversion.batches import assemble, draw_items
from inversion.config import Balance, Config, Objective, Previews, Stop, Train
from inversion.data import Example, find_examples, fingerprint
from inversion.loss import loss_of
from inversion.objective import fixed_items
from lab.errors import UserError
from lab.run import Run

COLOURS = ("red", "green", "blue")
UNEVEN = {"red": 9, "green": 2, "blue": 4}


def pictures(counts=UNEVEN):
    """A folder's pictures, sorted by their captions, as a listing has them."""
    named = [(value, k) for value, count in counts.items() for k in range(count)]
    return [Example(Path(f"set/{v}-{k}.png"), f"a {v} cat, number {k}") for v, k in named]


def plan(**changes):
    settings = {"attribute": "colour", "values": COLOURS, "from": "captions", "how": "subset"}
    return Balance.model_validate(settings | changes)


def shares(examples):
    """What each value counts of the whole."""
    total = sum(one.counts for one in examples)
    return {v: sum(x.counts for x in examples if x.value == v) / total for v in COLOURS}


# --- the plan


def test_a_subset_has_as_many_of_each_value_as_of_the_rarest():
    chosen = balanced(pictures(), plan(), seed=0)
    assert Counter(one.value for one in chosen) == dict.fromkeys(COLOURS, 2)
    assert {one.counts for one in chosen} == {1.0}
    assert len({one.path for one in chosen}) == 6


def test_the_seed_draws_the_subset():
    drawn = [{one.path for one in balanced(pictures(), plan(), seed)} for seed in (0, 0, 1, 2)]
    assert drawn[0] == drawn[1] and (drawn[0] != drawn[2] or drawn[0] != drawn[3])


def test_together_keeps_every_picture_and_counts_what_is_wanted():
    chosen = balanced(pictures(), plan(how="together"), seed=0)
    assert {one.path for one in chosen} == {one.path for one in pictures()}
    assert {one.counts for one in chosen} == {1.0}
    wanted = balanced(pictures(), plan(how="together", wanted={"red": 2.0}), seed=0)
    assert {one.value: one.counts for one in wanted} == {"red": 1.5, "green": 0.75, "blue": 0.75}


def test_weights_keep_every_picture_and_even_out_what_the_values_count():
    chosen = balanced(pictures(), plan(how="weights"), seed=0)
    assert {one.path for one in chosen} == {one.path for one in pictures()}
    assert shares(chosen) == pytest.approx(dict.fromkeys(COLOURS, 1 / 3))
    assert sum(one.counts for one in chosen) / len(chosen) == pytest.approx(1)  # the rate stays


@pytest.mark.parametrize("how", ["subset", "weights"])
def test_the_wanted_distribution_is_reached_by_both(how):
    counts = dict.fromkeys(COLOURS, 12)
    chosen = balanced(pictures(counts), plan(how=how, wanted={"red": 2.0}), seed=0)
    assert shares(chosen) == pytest.approx({"red": 0.5, "green": 0.25, "blue": 0.25})


def test_the_first_pictures_are_as_even_as_all(configured, material):
    """The objective looks at the first ones only."""
    chosen = balanced(pictures(dict.fromkeys(COLOURS, 20)), plan(), seed=0)
    for end in (3, 6, 30):
        assert Counter(one.value for one in chosen[:end]) == dict.fromkeys(COLOURS, end // 3)
    material = replace(material, examples=chosen, latents=[material.latents[0]] * len(chosen))
    items = fixed_items(material, configured(Train()), range(6), -2, 1000)
    assert Counter(chosen[item.picture].value for item in items) == dict.fromkeys(COLOURS, 2)


# --- where values stand


def test_a_caption_says_the_value_and_the_prompt_does_not():
    captions = {one.path.name: one.caption for one in balanced(pictures(), plan(), 0)}
    assert all(name.split("-")[0] not in caption for name, caption in captions.items())
    assert all(caption.startswith("a cat, number") for caption in captions.values())


@pytest.mark.parametrize(
    ("caption", "value", "expected"),
    [
        ("a red cat", "red", "a cat"),
        ("an orange cat by an orange sea", "orange", "a cat by a sea"),
        ("A red apple and the red tree", "red", "An apple and the tree"),
        ("a cat, red", "red", "a cat"),
        ("red, a cat", "red", "a cat"),
        ("Red cat", "red", "cat"),
        ("a bored redhead, red", "red", "a bored redhead"),
        ("an old doctor, a woman", "a woman", "an old doctor"),
    ],
)
def test_a_value_leaves_no_trace_in_a_caption(caption, value, expected):
    assert without(caption, value) == expected


def write_list(folder, *lines):
    from PIL import Image

    for line in lines:
        Image.new("RGB", (4, 4)).save(folder / line["file_name"])
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metadata.jsonl").write_text(text)


def test_a_column_says_the_value_and_the_caption_stays(tmp_path):
    write_list(
        tmp_path,
        {"file_name": "1.png", "text": "a cat on green grass", "colour": "red"},
        {"file_name": "2.png", "text": "a cat", "colour": "green"},
    )
    found = find_examples(Config(data=str(tmp_path)), tmp_path)
    balance = Balance.model_validate(
        {"attribute": "colour", "values": ("red", "green"), "from": "metadata"}
    )
    said = [(one.value, one.caption) for one in balanced(found, balance, 0)]
    assert said == [("red", "a cat on green grass"), ("green", "a cat")]
    with pytest.raises(
        UserError, match=r"1\.png should have one of red, green in the column 'hue'"
    ):
        balanced(found, balance.model_copy(update={"attribute": "hue"}), 0)


# --- what is refused


def test_a_value_that_no_picture_has_is_refused():
    with pytest.raises(UserError, match="none of the 13 pictures of set has the colour green"):
        balanced(pictures({"red": 9, "blue": 4}), plan(), 0)


@pytest.mark.parametrize("caption", ["a cat", "a teal cat", "a redhead", "a red and a blue cat"])
def test_a_picture_whose_caption_does_not_say_its_value_is_refused(caption):
    with pytest.raises(UserError, match=r"set/x\.png.*mend the caption"):
        balanced([*pictures(), Example(Path("set/x.png"), caption)], plan(), 0)


def test_plans_that_cannot_be_are_refused():
    for changes in ({"values": ("red",)}, {"values": ("red", "red")}, {"wanted": {"teal": 1.0}}):
        with pytest.raises(ValidationError):
            plan(**changes)


def test_values_that_are_learned_together_need_their_places():
    together = plan(how="together")
    with pytest.raises(ValidationError, match="multiple of the 3 values"):
        Config(balance=together, train=Train(batch_size=4))
    with pytest.raises(ValidationError, match="buckets should be off"):
        Config(balance=together, train=Train(batch_size=6), buckets=True)


# --- what it does to the training


@pytest.fixture
def cats(material):
    """The plan `together` of an uneven folder, with some pictures' latents."""
    chosen = balanced(pictures(), plan(how="together"), seed=0)
    latents = [material.latents[k % 5] for k in range(len(chosen))]
    return replace(material, examples=chosen, latents=latents, together=True)


def test_every_step_has_each_value_equally_often_and_nothing_else_differs(cats):
    settings, seen = Train(batch_size=6), Counter()
    for step in range(30):
        items = draw_items(cats, settings, 0, step, range(6))
        assert items[4:] == draw_items(cats, settings, 0, step, [4, 5])  # in parts, too
        for first in (0, 3):
            turn = items[first : first + 3]
            assert [cats.examples[item.picture].value for item in turn] == list(COLOURS)
            assert len({(one.timestep, one.noise, one.mirrored) for one in turn}) == 1
        assert items[0].noise != items[3].noise and items[0].timestep != items[3].timestep
        seen.update(item.picture for item in items)
    assert len(seen) == len(cats.examples)
    for value in COLOURS:  # each once before any twice
        times = [seen[k] for k, one in enumerate(cats.examples) if one.value == value]
        assert max(times) - min(times) <= 1


def test_the_objective_is_as_even(cats, configured):
    config = configured(Train(batch_size=6))
    items = fixed_items(cats, config, range(6), -2, 1000)
    assert [cats.examples[item.picture].value for item in items] == list(COLOURS) * 2
    assert [item.noise for item in items] == [-2] * 3 + [-5] * 3
    assert len({item.timestep for item in items}) == 2


def test_only_the_part_of_the_schedule_that_is_asked_for_is_trained_on(cats, configured):
    settings = Train(batch_size=6, timesteps=(0.5, 0.75))
    drawn = [i.timestep for k in range(20) for i in draw_items(cats, settings, 0, k, range(6))]
    drawn += [i.timestep for i in fixed_items(cats, configured(settings), range(60), -2, 1000)]
    assert 500 <= min(drawn) < 520 and 730 < max(drawn) < 750
    with pytest.raises(ValidationError, match="timesteps should rise"):
        Train(timesteps=(0.75, 0.5))


def test_what_a_picture_counts_is_a_factor_of_its_loss(sd, material, configured):
    config = configured(Train(batch_size=4))
    sd_material = replace(material, word="x")  # no learned word is needed here
    items = draw_items(sd_material, config.train, 0, 0, range(4))
    even = [loss_of(sd, assemble(sd, sd_material, 0, [item])) for item in items]
    counts = [0.5, 2.0, 1.0, 3.0, 0.25]
    examples = [replace(e, counts=c) for e, c in zip(material.examples, counts, strict=True)]
    weighed = loss_of(sd, assemble(sd, replace(sd_material, examples=examples), 0, items))
    expected = sum(x * counts[item.picture] for x, item in zip(even, items, strict=True))
    torch.testing.assert_close(weighed, expected)


def test_the_result_depends_on_what_pictures_count(tmp_path):
    write_list(tmp_path, {"file_name": "1.png", "text": "a cat", "colour": "red"})
    (one,) = find_examples(Config(data=str(tmp_path)), tmp_path)
    assert fingerprint([one]) != fingerprint([replace(one, counts=0.5)])


def test_the_plan_is_told_in_a_sentence():
    told = sentence(balanced(pictures(), plan(how="weights"), 0), plan(how="weights"))
    assert told == (
        "learned from 15 pictures, by colour: 9 red x 0.56, 2 green x 2.50, 4 blue x 1.25"
    )


# --- the whole job


@pytest.fixture
def things(draw_noise):
    """Three red things and a blue one."""
    folder = draw_noise(4, (40, 40))
    for k, colour in enumerate(("red", "blue", "red", "red")):
        (folder / f"{k:02d} a thing.png").rename(folder / f"{k:02d} a {colour} thing.png")
    return folder


def learned(config, outputs, stop_at=None):
    """Run the job; `stop_at` abandons it after that training step, as a kill would."""
    with Run(outputs, "test", "inversion") as run:
        for progress in job.run(config, run):
            if progress.stage.startswith("learning") and progress.done == stop_at:
                run.reused = True
                break
    return run


@pytest.mark.parametrize("how", ["together", "subset", "weights"])
def test_a_killed_run_continues_to_the_same_bytes(tiny_sd_folder, things, tmp_path, how):
    balance = plan(how=how, values=("red", "blue"))
    config = Config(
        word="thing", overwrite=True, num_vectors=5, data=str(things), model=str(tiny_sd_folder),
        templates=("[filewords]",), balance=balance, previews=Previews(prompts=()), device="cpu",
        train=Train(steps=4, batch_size=2, checkpoint_every=2), stop=Stop(rule="never"),
        objective=Objective(pictures=2, every=2),
    )  # fmt: skip
    whole = learned(config, tmp_path / "whole")
    learned(config, tmp_path / "killed", stop_at=3)
    again = learned(config, tmp_path / "killed")
    for name in ("thing.safetensors", "metrics.jsonl"):
        assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    pictures = {"together": "3 red, 1 blue", "subset": "1 red, 1 blue"}
    told = pictures.get(how, "3 red x 0.67, 1 blue x 2.00")
    assert any(note.endswith(f"by colour: {told}") for note in whole.notes), whole.notes


def test_a_missing_value_is_said_before_anything_is_written(tiny_sd_folder, things, tmp_path):
    balance = plan(values=("red", "blue", "pink"))
    config = Config(
        word="thing", overwrite=True, data=str(things), model=str(tiny_sd_folder),
        templates=("[filewords]",), balance=balance, device="cpu",
    )  # fmt: skip
    with pytest.raises(UserError, match=r"none of the 4 pictures .* has the colour pink"):
        learned(config, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.safetensors"))
