"""What fits is chosen: within the budget, no larger plan refused, and without a change of a bit."""

from functools import cache

import pytest
import torch

from diffusion import fitting, stable_diffusion
from diffusion.fitting import budget_of, largest, plan_drawing, plan_training
from diffusion.prompts import encode_prompts
from diffusion.stable_diffusion import at_work, decode, encode, load, rest
from lab.device import noise

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def shared(tiny_sd_folder):
    return load(str(tiny_sd_folder), device="cpu")


@pytest.fixture(scope="module", autouse=True)
def counted_once():
    """Counting takes a second, and always finds the same."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("of_training", "of_prediction", "of_decoding"):
            patch.setattr(fitting, name, remembered(getattr(fitting, name)))
        yield


def remembered(count):
    @cache
    def found(shape, settings):
        config, dtype, options = given[shape, settings]
        return count(config, dtype, shape, **options)

    def counting(config, dtype, shape, **options):
        settings = options.get("gradient_checkpointing", False), str(dtype), len(config)
        given[shape, settings] = config, dtype, options
        return found(shape, settings)

    given = {}
    return counting


@pytest.fixture
def sd(shared):
    shared.resting.clear()
    yield shared
    shared.resting.clear()


def test_a_budget_is_what_is_said_and_a_cpu_has_none():
    assert budget_of("auto", CPU) is None
    assert budget_of(8, CPU) == budget_of(8.0, torch.device("cuda")) == 8 * 10**9


def test_an_automatic_budget_is_what_is_free_and_what_is_ones_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (5, 100))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 3)
    assert budget_of("auto", torch.device("cuda")) == 8
    assert budget_of("auto", torch.device("cuda"), whole=True) == 100


def test_the_largest_that_fits_is_found():
    for most in range(1, 20):
        for limit in range(most + 3):
            assert largest(lambda k, limit=limit: k <= limit, most) == min(limit, most)


def test_a_plan_fits_and_none_that_costs_less_would_have(sd):
    """At each budget the first of all plans, in the order of what they cost, that fits it."""
    shape, most = sd.latent_shape(), 4
    ways = [(False, "", most), (False, "vae", most), (True, "", most), (True, "vae", most)]
    ways += [(True, "vae", count) for count in range(most - 1, 0, -1)]
    totals, seen = {}, set()
    bounds = [10**12]
    while True:  # each time a byte less than the plan before needed
        plan = plan_training(sd, shape, most, bounds[-1])
        way = plan.checkpointing, plan.resting, plan.at_once
        if not plan.fits:
            break
        assert plan.needed.total <= bounds[-1]
        assert way not in seen
        seen.add(way)
        totals[way] = plan.needed.total
        again = plan_training(sd, shape, most, plan.needed.total)
        assert (again.checkpointing, again.resting, again.at_once) == way
        bounds.append(plan.needed.total - 1)
    assert way == ways[-1]
    order = [ways.index(way) for way in totals]
    assert order == sorted(order)
    assert {(False, "", 4), (False, "vae", 4), (True, "vae", 1)} <= set(totals)
    assert "too little" in plan.sentence("pictures")


def test_what_is_asked_for_is_not_chosen_otherwise(sd):
    shape = sd.latent_shape()
    assert not plan_training(sd, shape, 4, 1, False).checkpointing
    assert plan_training(sd, shape, 4, 10**12, True).checkpointing
    free = plan_training(sd, shape, 4, None)
    assert (free.at_once, free.checkpointing, free.resting) == (4, False, "")


def test_previews_are_counted(sd):
    shape = sd.latent_shape()
    alone = plan_training(sd, shape, 1, None)
    assert plan_training(sd, shape, 1, None, previews=64).needed.total > alone.needed.total


def test_the_largest_size_of_a_sweep_that_fits(sd):
    shape, sizes = sd.latent_shape(), (1, 2, 4, 8)
    every = {size: plan_drawing(sd, shape, [size], None).needed.total for size in sizes}
    for size in sizes:
        plan = plan_drawing(sd, shape, sizes, every[size])
        assert plan.fits
        assert plan.at_once >= size
        assert all(other <= plan.at_once or total > every[size] - 2**22  # less than the encoder is
                   for other, total in every.items())  # fmt: skip
    assert plan_drawing(sd, shape, sizes, None).at_once == 8
    tight = plan_drawing(sd, shape, [8], every[8] - 1)
    assert tight.fits
    assert tight.resting == "text_encoder"
    assert not plan_drawing(sd, shape, sizes, 1).fits


def test_what_rests_is_fetched_when_it_works_and_changes_no_bit(sd, monkeypatch):
    latents, pixels = noise((2, *sd.latent_shape()), 1), noise((1, 3, 64, 64), 2)
    plain = decode(sd, latents), *encode(sd, pixels), encode_prompts(sd, ["a", "b"])
    places = {"vae": True, "text_encoder": True}

    def move(module, device):
        name = "vae" if module is sd.vae else "text_encoder"
        places[name] = not places[name]
        moved.append((name, device))

    moved = []
    monkeypatch.setattr(stable_diffusion, "_move", move)
    for part in places:
        rest(sd, part)
    for part, name in [("vae", "decode"), ("vae", "encode"), ("text_encoder", "forward")]:
        module, work = getattr(sd, part), getattr(getattr(sd, part), name)

        def watched(*args, work=work, part=part, **kwargs):
            assert places[part]
            return work(*args, **kwargs)

        monkeypatch.setattr(module, name, watched)
    again = decode(sd, latents), *encode(sd, pixels), encode_prompts(sd, ["a", "b"])
    assert (plain[0] == again[0]).all()
    assert all(torch.equal(a, b) for a, b in zip(plain[1:], again[1:], strict=True))
    assert places == {"vae": False, "text_encoder": False}
    assert len(moved) == 2 + 2 * 4
    with pytest.raises(ZeroDivisionError), at_work(sd, "vae"):
        assert places["vae"]
        raise ZeroDivisionError
    assert not places["vae"]
