"""The page as a whole, in chromium: its tabs, its keys, its width, and the tab Runs."""

import pytest
from PIL import Image

from studio.cli import main

TABS = ("Crop", "Invert", "Guidance", "Denoise", "Runs")
CONTRAST = """
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const light = (...colours) => {  // of colours that lie upon each other
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => v / 255)
      .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$/.test(colour) && colour !== 'transparent') return colour;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  const found = [];
  for (const element of document.querySelectorAll('label, h1, h3, p, button, summary, span, b')) {
    if (!element.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
    const own = [...element.childNodes].filter((node) => node.nodeType === 3);
    const text = own.map((node) => node.data).join('');
    if (!text.trim() || element.disabled || element.closest('.unseen')) continue;
    const ground = behind(element);
    const [a, b] = [light(ground, getComputedStyle(element).color), light(ground)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4) found.push(`${text.trim().slice(0, 40)}: ${ratio.toFixed(1)}`);
  }
  return found;
}
"""
AT_REST = "* { transition: none !important; animation: none !important; }"
"""Colours are measured as they stay, however slowly a machine fades them in."""


def opened(page, studio, query: str = ""):
    page.goto(studio.url + query)
    page.wait_for_selector("body[data-studio=ready]")


@pytest.fixture(scope="module")
def run(studio):
    """Crops that the terminal made."""
    for k, colour in enumerate(["red", "green", "blue"]):
        Image.new("RGB", (64, 48), colour).save(studio.readable / f"{k} a {colour} thing.png")
    file = studio.outputs.parent / "things.yaml"
    settings = f"  source: {studio.readable}\n  size: 32\n  strategy: centre\n  workers: 1\n"
    file.write_text(f"name: things\ncropping:\n{settings}")
    assert main(["cropping", str(file), "--outputs", str(studio.outputs)]) == 0
    return "things"


def test_the_tabs_are_reached_with_keys_alone(page, studio):
    opened(page, studio)
    page.get_by_role("tab", name="Crop").focus()
    for title in TABS[1:]:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent.trim()") == title
        style = "(({outlineStyle, outlineWidth}) => outlineStyle + outlineWidth)"
        assert page.evaluate(f"{style}(getComputedStyle(document.activeElement))") == "solid3px"
        page.keyboard.press("Enter")
        page.get_by_role("tab", name=title, exact=True, selected=True).wait_for()
        page.wait_for_url(f"**?tab={title.lower()}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_tab_fits_a_phone_and_is_legible(page, studio, run, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, studio)
    page.add_style_tag(content=AT_REST)
    for title in TABS:
        page.get_by_role("tab", name=title, exact=True).click()
        page.wait_for_url(f"**?tab={title.lower()}*")
        page.wait_for_timeout(400)
        assert page.evaluate("document.documentElement.scrollWidth") == 390, title
        assert page.evaluate(CONTRAST) == [], title


def test_a_run_of_the_terminal_is_seen_read_and_downloaded(page, studio, run):
    opened(page, studio, "?tab=runs")
    card = page.locator("article.card", has_text=run)
    card.locator("img").first.wait_for()
    assert card.get_by_text("Done").count() == 1
    card.get_by_text("Settings").click()
    assert card.get_by_text("centre").is_visible()
    page.wait_for_function("[...document.querySelectorAll('.card img')].every(i => i.naturalWidth)")
    card.get_by_role("button", name="Report").press("Enter")
    page.frame_locator("iframe").get_by_text("a red thing").first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    report = (studio.outputs / run / "cropping" / "report.html").read_bytes()
    assert download.value.path().read_bytes() == report
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Close").press("Enter")
    page.wait_for_selector("iframe", state="detached")


def test_a_file_fills_the_text_and_make_this_again_the_form(page, studio, run):
    (studio.readable / "texted.yaml").write_text(
        f"cropping: {{source: {studio.readable}, sise: 32}}"
    )
    opened(page, studio, "?tab=runs")
    page.get_by_role("button", name="An experiment as text").press("Enter")
    file = page.get_by_label("Open a file")
    file.fill(str(studio.readable / "texted.yaml"))
    file.press("Enter")
    text = page.get_by_role("textbox", name="Experiment")
    studio.wait_until(lambda: text.input_value().startswith("name: texted\ncropping:"))
    page.locator("#runs-start").press("Enter")
    page.get_by_text("sise is not a setting; did you mean size?").wait_for()
    assert studio.bench.queue.of("texted") is None
    text.fill(text.input_value().replace("sise", "size"))
    page.locator("#runs-start").press("Enter")
    studio.wait_until(lambda: studio.bench.queue.of("texted", "cropping") is not None)
    studio.bench.queue.stop(studio.bench.queue.of("texted").id)
    card = page.locator("article.card", has_text=run)
    card.get_by_role("button", name="Make this again").press("Enter")
    page.wait_for_url("**?tab=crop*")
    studio.wait_until(lambda: page.get_by_label("Name").first.input_value() == run)
    studio.wait_until(lambda: page.get_by_label("Size, px").input_value() == "32")


def test_a_window_that_is_opened_again_finds_its_run(page, studio, run):
    opened(page, studio, "?tab=runs")
    card = page.locator("article.card", has_text=run)
    card.get_by_role("button", name="Open").press("Enter")
    page.wait_for_url(f"**?tab=crop&run={run}")
    page.reload()
    page.wait_for_selector("body[data-studio=ready]")
    assert page.get_by_role("tab", name="Crop").get_attribute("aria-selected") == "true"
    page.get_by_text("Done", exact=True).filter(visible=True).wait_for()
    other = page.context.new_page()
    opened(other, studio)
    assert "run=" not in other.url


@pytest.mark.parametrize(
    "query",
    ["?tab=nothing&run=x", "?tab=crop&run=../../etc", "?run=%00&tab=denoise"],
)
def test_addresses_that_lead_nowhere_open_the_page(page, studio, query):
    opened(page, studio, query)
    assert page.get_by_role("tab").filter(visible=True).count() == 5


def test_two_windows_do_not_disturb_each_other(page, studio, run):
    opened(page, studio, f"?tab=crop&run={run}")
    other = page.context.new_page()
    opened(other, studio, "?tab=crop")
    name = other.get_by_label("Name").first
    name.fill("mine alone")
    page.get_by_role("tab", name="Runs").click()
    page.get_by_role("tab", name="Crop").click()
    studio.wait_until(lambda: page.get_by_label("Name").first.input_value() == run)
    assert name.input_value() == "mine alone"
    page.wait_for_url(f"**?tab=crop&run={run}")
    assert "run=" not in other.url
