"""What is shown of a finished sweep, and the report opened in a real browser."""

import json
import re
import threading

import numpy as np
import pytest

from cfg.analysis import grouped, measure
from cfg.cells import lines_of
from cfg.config import Config, exact_scales
from cfg.film import write_film
from cfg.filming import Filming
from cfg.judge import Judge
from cfg.report import POINTS, _thinned, spread_out, write_report
from cfg.show import show
from lab.run import Run
from lab.video import video_metadata

NOBODY = Judge(None, None, None, {})


def configured(**settings):
    return Config.model_validate_json(json.dumps({"prompt": "a red cat", **settings}))


def turning(line, scale):
    """A dark picture that becomes a bright one at scale 2, at every seed."""
    rng = np.random.default_rng(line.seed)
    share = 1 / (1 + np.exp(-(scale - 2.05) / 0.08))
    picture = rng.uniform(20, 60, (64, 64, 3)) + 140 * share + 3 * np.sin(scale)
    return np.clip(picture, 0, 255).round().astype(np.uint8)


@pytest.fixture
def finished(written):
    def finish(config, threshold=None, rendered=None):
        scales = exact_scales(config.guidance_scales)
        return written(lines_of(config, []), scales, turning, rendered, threshold)

    return finish


def shown(tmp_path, config, sweep):
    with Run(tmp_path, "x", "cfg") as run:
        run.is_complete("key")
        list(show(config, run, sweep))
    return run


def test_everything_is_made_and_the_same_frames_make_the_same_bytes(tmp_path, finished):
    config = configured(seed=[0, 1, 2], rule=["plain", "apg"], video={"size": 64, "each": True},
                        guidance_scales={"from": 0, "to": 4, "step": 0.2},
                        page={"pictures": 60})  # fmt: skip
    run = shown(tmp_path, config, finished(config))
    made = ["report.html", "guidance.mp4", "contact-sheet.png", "curve.png", "analysis.json",
            "metrics.jsonl"]  # fmt: skip
    made += [f"films/{path.name}" for path in run.folder.glob("films/*")]
    assert len(made) == 6 + 6
    first = {name: (run.folder / name).read_bytes() for name in made}
    assert len(run.metrics()) == 6 * 21
    again = shown(tmp_path, config, finished(config))
    assert {name: (again.folder / name).read_bytes() for name in made} == first
    said = json.loads(first["analysis.json"])
    assert [len(group["shared_transitions"]) for group in said["groups"]] == [1, 1]
    assert said["groups"][0]["shared_transitions"][0]["at"] == pytest.approx(2.05, abs=0.11)
    assert said["rules_at_equal_match"][0]
    assert any("transitions shared by 3 seeds: 2." in note for note in run.notes)


def test_one_seed_is_said_to_be_one(tmp_path, finished):
    config = configured(guidance_scales={"from": 0, "to": 4, "step": 0.1}, video={"size": 64})
    run = shown(tmp_path, config, finished(config))
    assert any("seed 0 alone: transitions at 2." in note for note in run.notes)
    page = (run.folder / "report.html").read_text()
    assert "What one seed alone shows" in page
    assert "Diversity needs at least three seeds" in page


@pytest.mark.parametrize("scales", [[7.5], [0, 1]])
def test_few_scales_are_shown_too(tmp_path, finished, scales):
    config = configured(guidance_scales=scales, seed=[0, 1, 2], video={"size": 64})
    run = shown(tmp_path, config, finished(config))
    assert (run.folder / "report.html").stat().st_size > 10_000


def test_an_adaptive_sweep_is_shown(tmp_path, finished):
    config = configured(guidance_scales={"from": 0, "to": 4, "step": 0.05}, video={"size": 64})
    sweep = finished(config, 2.0, [0, 20, *range(30, 50), 60, 80])
    run = shown(tmp_path, config, sweep)
    page = (run.folder / "report.html").read_text()
    assert "24 of 81" in page
    assert "adaptive sweep" in page


def page_of(path, config, sweep):
    measured = [measure(sweep, line, NOBODY) for line in sweep.lines]
    write_report(path, config, sweep, grouped(measured, config.analysis), {})


def test_the_page_asks_nobody_and_does_not_grow_with_the_frames(tmp_path, finished):
    sizes = []
    for step in (0.05, 0.01):
        config = configured(guidance_scales={"from": 0, "to": 4, "step": step},
                            page={"pictures": 20})  # fmt: skip
        page_of(tmp_path / "report.html", config, finished(config))
        text = (tmp_path / "report.html").read_text()
        assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:|//|file:)", text)
        assert 18 <= text.count('"src": "data:image/webp') <= 24
        sizes.append(len(text))
    assert sizes[1] < 1.5 * sizes[0]


def test_pictures_are_chosen_where_something_happens_and_always_0_and_1(finished):
    config = configured(guidance_scales={"from": 0, "to": 10, "step": 0.05})
    sweep = finished(config)
    chosen = spread_out(measure(sweep, sweep.lines[0], NOBODY), 30)
    scales = [float(frame.scale) for frame in chosen]
    assert len(scales) <= 33
    assert scales == sorted(set(scales))
    assert {0.0, 1.0, 10.0} <= set(scales)
    assert sum(1.5 < s < 2.5 for s in scales) >= 6  # three would be even
    assert max(np.diff(scales)) < 1.5


def test_thinned_curves_keep_their_peaks():
    x, y = np.arange(5000.0), np.zeros(5000)
    y[3217] = 9.0
    thinned = _thinned(x, y)
    assert len(thinned) == POINTS
    assert (3217.0, 9.0) in thinned
    assert _thinned(x[:5], y[:5]) == list(zip(x[:5], y[:5], strict=True))


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_in_a_browser(tmp_path, finished, browser, width):
    """The scrubber moves picture, number and marks, by mouse and by keyboard, offline."""
    config = configured(seed=[0, 1, 2], guidance_scales={"from": 0, "to": 4, "step": 0.1},
                        page={"pictures": 60})  # fmt: skip
    page_of(tmp_path / "report.html", config, finished(config))
    page = browser.new_page(viewport={"width": width, "height": 900})
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((tmp_path / "report.html").as_uri())
    assert page.text_content("#scale") == "s = 0"
    first = page.get_attribute("#picture", "src")
    assert page.evaluate("document.getElementById('picture').naturalWidth") == 64
    page.focus("#scrub")
    page.keyboard.press("ArrowRight")
    second = page.get_attribute("#picture", "src")
    assert second != first
    page.keyboard.press("End")
    assert page.text_content("#scale") == "s = 4"
    page.evaluate("const s = document.getElementById('scrub'); s.value = 0;"
                  "s.dispatchEvent(new Event('input'))")  # fmt: skip
    assert page.get_attribute("#picture", "src") == first
    assert page.get_attribute("#scrub", "aria-valuetext") == "guidance scale 0"
    page.keyboard.press("ArrowDown")
    assert page.input_value("#line") == "1"
    assert page.get_attribute("#picture", "src") != first
    page.locator("#strip button").nth(3).click()
    assert page.locator("#strip button.here").count() == 1
    assert page.locator("#strip button.turn").count() >= 1
    assert page.locator(".map i").first.get_attribute("style") != "left: 0%;"
    page.select_option("#quantity", "saturation")
    page.click("#play")
    assert page.get_attribute("#play", "aria-pressed") == "true"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    page.close()


@pytest.mark.parametrize("study", [{}, {"seed": [0, 1, 2]}, {"video": {"retime": "perceptual"}}])
def test_films_made_beside_the_rest_are_those_made_alone(tmp_path, finished, study):
    config = configured(**{"guidance_scales": {"from": 0, "to": 2, "step": 0.5}, **study})
    config = config.model_copy(update={"video": config.video.model_copy(update={"size": 64})})
    sweep = finished(config)
    run = shown(tmp_path, config, sweep)
    about = {
        "title": "a red cat",
        "comment": video_metadata(run.folder / "guidance.mp4")["comment"],
    }
    measured = [measure(sweep, line, NOBODY) for line in sweep.lines]
    alone = tmp_path / "alone.mp4"
    write_film(sweep, sweep.lines, config.video, alone, metadata=about, measured=measured)
    assert (run.folder / "guidance.mp4").read_bytes() == alone.read_bytes()


def test_a_film_is_encoded_while_its_pictures_are_measured(tmp_path, finished, monkeypatch):
    config = configured(guidance_scales=[0, 1, 2], video={"size": 64})
    sweep, filmed = finished(config), threading.Event()

    def watched(*args, **settings):
        write_film(*args, **settings)
        filmed.set()

    def patient(*args):
        assert filmed.wait(120)  # who films after measuring waits in vain
        return measure(*args)

    monkeypatch.setattr("cfg.filming.write_film", watched)
    monkeypatch.setattr("cfg.show.measure", patient)
    assert (shown(tmp_path, config, sweep).folder / "guidance.mp4").exists()


def test_films_of_a_sweep_that_is_left_are_given_up(tmp_path, finished, monkeypatch):
    config = configured(guidance_scales=[0, 1, 2, 3], video={"size": 64})
    sweep, begun, count = finished(config), threading.Event(), Filming._count

    def halfway(filming, frame):
        if frame == 1:  # the film stands still until it is given up
            begun.set()
            assert filming._given_up.wait(120)
        count(filming, frame)

    monkeypatch.setattr("cfg.show.measure", lambda *_: begun.wait(120) and 1 / 0)
    monkeypatch.setattr(Filming, "_count", halfway)
    with pytest.raises(ZeroDivisionError):
        shown(tmp_path, config, sweep)
    assert begun.is_set()
    assert not [path for path in (tmp_path / "x/cfg").iterdir() if path.suffix == ".mp4"]


def test_a_film_that_cannot_be_made_is_an_error(tmp_path, finished):
    config = configured(guidance_scales=[0, 1], video={"size": 64})
    sweep = finished(config)
    (tmp_path / "x/cfg/guidance.mp4").mkdir(parents=True)
    (tmp_path / "x/cfg/guidance.mp4/in-the-way").touch()
    with pytest.raises(OSError):
        shown(tmp_path, config, sweep)
