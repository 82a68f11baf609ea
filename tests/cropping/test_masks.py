"""What training gives no weight: padding, transparency, masks beside sources, damage."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cropping.cleaning import find_flaws, repair, weights_of
from lab.masks import read_mask


def page(size=(600, 800)) -> Image.Image:
    """A clean printed page: a framed picture of plain colours, on paper."""
    image = Image.new("RGB", size, (243, 239, 228))
    draw = ImageDraw.Draw(image)
    draw.rectangle((90, 60, 510, 560), (90, 140, 190))
    draw.rectangle((90, 400, 510, 560), (70, 120, 60))
    draw.ellipse((200, 180, 400, 460), (190, 80, 60))
    for y in range(610, 740, 24):
        draw.rectangle((90, y, 500, y + 7), (60, 60, 60))
    noise = np.random.default_rng(0).normal(0, 2, (*size[::-1], 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def light(image: Image.Image, gain: np.ndarray, added: np.ndarray | float = 0.0) -> Image.Image:
    pixels = np.asarray(image, np.float32) * gain[..., None] + np.asarray(added)[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def damaged(kind: str) -> Image.Image:
    """The page with damage by its optics: shadows multiply, reflections add."""
    image = page()
    y, x = np.mgrid[: image.height, : image.width].astype(np.float32)
    if kind == "gutter":
        return light(image, 1 - 0.6 * np.exp(-x / 18))
    if kind == "crease":
        return light(image, 1 - 0.25 * np.exp(-(((x - 330 - 0.06 * y) / 2) ** 2)))
    if kind == "glare":
        spot = np.exp(-0.5 * (((x - 300) / 60) ** 2 + ((y - 250) / 45) ** 2))
        return light(image, np.ones_like(x), 330 * spot)
    return light(image, 1 - 0.45 * x / image.width)


KINDS = ("gutter", "crease", "glare", "shading")


def test_a_clean_page_has_no_damage():
    assert find_flaws(page(), KINDS) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_found_where_it_is_and_can_be_repaired(kind):
    image = damaged(kind)
    flaws = find_flaws(image, KINDS)
    assert [flaw.kind for flaw in flaws] == [kind]
    weights = weights_of(flaws, image.size)
    before = np.abs(np.asarray(image, float) - np.asarray(page(), float)).mean(axis=2)
    if kind == "shading":  # told, not ignored
        assert weights.min() == 255
    else:
        scaled = np.asarray(Image.fromarray(weights).resize(image.size)) < 128
        assert before[scaled].mean() > 8 * before[~scaled].mean()
    after = np.asarray(repair(image, flaws), float) - np.asarray(page(), float)
    assert np.abs(after).mean() < 0.6 * before.mean()


def test_what_is_not_looked_for_is_not_found():
    assert find_flaws(damaged("gutter"), ("glare",)) == ()


def test_padding_has_no_weight(pictures, crop, lines):
    run = crop(pictures, pad="always")
    line = lines(run)[0]
    weights = read_mask(run.folder / line["file"], (48, 48))
    assert weights is not None
    assert (weights[8:40] == 1).all() and (weights[:8] == 0).all() and (weights[40:] == 0).all()
    assert line["learned"] == pytest.approx(32 / 48, abs=0.01)


def test_masks_beside_sources_and_transparency_are_cut_too(pictures, crop, lines):
    mask = Image.new("L", (90, 60), 255)
    mask.paste(0, (0, 0, 90, 30))
    mask.save(pictures / "1 a cat-masklabel.png")
    clear = Image.open(pictures / "nested" / "3 a bird.png").convert("RGBA")
    clear.putalpha(mask)
    clear.save(pictures / "nested" / "3 a bird.png")
    run = crop(pictures)
    assert len(lines(run)) == 3
    for line in lines(run)[::2]:
        weights = read_mask(run.folder / line["file"], (48, 48))
        assert weights is not None
        assert weights[:23].max() == 0 and weights[25:].min() == 1
    assert lines(run)[1]["mask"] is None


@pytest.mark.parametrize("masks", ["file", "alpha", "none"])
def test_masks_are_kept_as_the_setting_says(pictures, crop, lines, masks):
    run = crop(pictures, pad="always", scans={"find": [], "masks": masks})
    line = lines(run)[0]
    assert (line["mask"] is not None) == (masks == "file")
    with Image.open(run.folder / line["file"]) as image:
        assert image.mode == ("RGBA" if masks == "alpha" else "RGB")
    weights = read_mask(run.folder / line["file"], (48, 48))
    assert (weights is None) == (masks == "none")


def test_damage_is_masked_in_the_crop_unless_a_person_says_it_is_none(tmp_path, crop, lines):
    folder = tmp_path / "scans"
    folder.mkdir()
    damaged("gutter").save(folder / "a page.png")
    settings = {"size": 128, "scans": {}, "pad": "always"}
    run = crop(folder, **settings)
    assert any("1 with gutter" in note for note in run.notes)
    masked = lines(run)[0]["learned"]
    (folder / "corrections.yaml").write_text("a page.png: {damage: false}\n")
    assert lines(crop(folder, **settings))[0]["learned"] > masked + 0.02
