"""Telemetry is what the two predictions say of each other, and survives in the frame's file."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from cfg.sampling import Step
from cfg.telemetry import QUANTITIES, TEXT, Recorder, measure, read_telemetry
from lab.images import save_png


def step(both=(True, True, True), index=0):
    generator = torch.Generator().manual_seed(index)
    cond, uncond, x_0 = torch.randn(3, len(both), 4, 8, 8, generator=generator).unbind()
    return Step(index, 3, 900.0 - index, x_0, uncond, cond, torch.tensor(both), cond, x_0, x_0)


def column(name, at):
    return measure(at)[:, QUANTITIES.index(name)]


def test_the_quantities_are_what_they_say():
    at = step()
    difference = (at.eps_cond - at.eps_uncond).double().flatten(1)
    cond, uncond = at.eps_cond.double().flatten(1), at.eps_uncond.double().flatten(1)
    torch.testing.assert_close(column("difference", at), difference.square().mean(1).sqrt())
    torch.testing.assert_close(column("cosine", at), torch.cosine_similarity(cond, uncond))
    # the two parts are the difference, and orthogonal: Pythagoras
    parts = column("parallel", at) ** 2 + column("orthogonal", at) ** 2
    torch.testing.assert_close(parts, (difference.norm(dim=1) / cond.norm(dim=1)) ** 2)
    torch.testing.assert_close(column("x_0_low", at), at.x_0.double().amin((1, 2, 3)))
    torch.testing.assert_close(column("x_0_high", at), at.x_0.double().amax((1, 2, 3)))


def test_a_picture_sees_itself_only():
    together = step()
    for i in range(3):
        one = slice(i, i + 1)
        tensors = (together.x_t, together.eps_uncond, together.eps_cond, together.both)
        x_t, uncond, cond, both = (tensor[one] for tensor in tensors)
        alone = Step(0, 3, 900.0, x_t, uncond, cond, both, cond, together.x_0[one], x_t)
        assert torch.equal(measure(alone)[0], measure(together)[i])


def test_what_was_not_predicted_is_not_made_up():
    table = measure(step(both=(True, False, True)))
    assert table[1, :4].isnan().all()
    assert not table[1, 4:].isnan().any()
    assert not table[[0, 2]].isnan().any()


def test_it_comes_back_from_the_files_as_arrays(tmp_path):
    recorder = Recorder()
    steps = [step(both=(True, False), index=k) for k in range(3)]
    for each in steps:
        recorder.add(each)
    paths = [tmp_path / f"{k}.png" for k in range(2)]
    told = recorder.later()
    for k, path in enumerate(paths):
        save_png(Image.new("RGB", (4, 4)), path, {TEXT: json.dumps(told(k))})
    telemetry = read_telemetry(paths)
    assert telemetry.timesteps.tolist() == [900.0, 899.0, 898.0]
    expected = np.stack([column("cosine", each).numpy() for each in steps], axis=1)
    np.testing.assert_allclose(telemetry.cosine, expected, rtol=1e-5)
    assert telemetry.x_0_high.shape == (2, 3)
    Image.new("RGB", (4, 4)).save(tmp_path / "none.png")
    with pytest.raises(ValueError, match="no telemetry"):
        read_telemetry([tmp_path / "none.png"])
