"""The half of the tab Invert that watches a run: how far it is, its curves, previews and words."""

import html
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import gradio as gr
from gradio.context import Context

from lab.errors import UserError
from studio.web.bench import Bench
from studio.web.invert import draw, start
from studio.web.invert import word as words
from studio.web.invert.read import Learning, Word, read_learning
from studio.web.parts import guarded, standing_view

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
CSS = (Path(__file__).parent / "invert.css").read_text(encoding="utf-8")
EMPTY = (
    '<p class="pw-empty">Choose pictures and a word, and press Start: here you see the word grow. '
    "Or look at a run that is there already.</p>"
)
_TO_THE_END = """
const strip = () => element.querySelector('.pw-strip');
let left = false;
element.addEventListener('scroll', () => {
  const s = strip();
  if (s) left = s.scrollLeft + s.clientWidth < s.scrollWidth - 40;
}, true);
const follow = () => requestAnimationFrame(() => {
  const s = strip();
  if (s && !left) s.scrollLeft = s.scrollWidth;
});
watch('value', follow);
new ResizeObserver(follow).observe(element);
"""
SPAN = 30.0
"""Seconds over which the speed is measured."""


@dataclass(frozen=True)
class View:
    """The components that others need."""

    timer: Any
    which: Any
    """The token of the word that is shown."""
    leave: Any
    """The button that leads to the tab Guidance."""
    onward: Callable[[str, str], dict[str, Any]]
    """Run and token -> the configuration for the tab Guidance."""


class Speed:
    """Steps a second of the runs that are watched, from how far they were some seconds ago."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._seen: dict[str, list[tuple[float, int]]] = {}

    def of(self, name: str, step: int) -> float | None:
        """Take note of a run's step; None while too little is known."""
        now, seen = self._clock(), self._seen.setdefault(name, [])
        if seen and step < seen[-1][1]:  # it began anew
            seen.clear()
        seen.append((now, step))
        while len(seen) > 2 and seen[1][0] < now - SPAN:
            seen.pop(0)
        passed, made = now - seen[0][0], step - seen[0][1]
        return made / passed if passed > 2 and made > 0 else None


@dataclass(frozen=True)
class Shown:
    """What the page shows of one word of a run, as HTML."""

    facts: str = EMPTY
    strip: str = ""
    charts: str = ""
    nearest: str = ""
    side: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """In the order of the view's components."""
        return self.facts, self.strip, self.charts, self.nearest, self.side


def word_of(learning: Learning, token: str) -> Word:
    """The word of a run that is called `token`; else the one that is being learned, or the last."""
    named = [word for word in learning.words if word.token == token]
    begun = [word for word in learning.words if word.step or word.objective]
    return (named or begun[-1:] or [*learning.words])[0]


def shown_of(learning: Learning, word: Word, rate: float | None, timed: bool = False) -> Shown:
    """A word of a run, drawn; `timed`: with the time that is left, where no queue tells it."""
    facts = draw.facts(learning, word, rate, timed)
    if not word.objective:
        return Shown(facts)
    return Shown(
        facts,
        f"<h3>How it grows</h3>{draw.strip(word.looks, learning.prompts, word.token)}",
        draw.main_charts(word),
        f"<h3>What it is near to</h3>{draw.nearest(word.vectors, word.vocabulary_norm)}",
        draw.side_charts(word),
    )


def may_leave(learning: Learning, word: Word) -> bool:
    """Whether the word can be downloaded: it is learned, or nobody is at work on it."""
    return word.file is not None and (word.finished or learning.status != "running")


@dataclass(frozen=True)
class _Parts:
    """The components that are filled again and again."""

    which: Any
    drawn: list[Any]
    """In the order of Shown.parts."""
    more: Any
    take: Any
    program: Any
    download: Any
    use: Any
    report: Any
    frame: Any
    seen: Any
    """What this window was sent last, so that only changes are sent."""

    @property
    def outputs(self) -> list[Any]:
        take = [self.take, self.program, self.download, self.use]
        return [self.which, *self.drawn, self.more, *take, self.report, self.frame, self.seen]


def view(bench: Bench, run: gr.State) -> View:
    """Build the half that watches; `run` has the name of the run that is shown."""
    gr.HTML(f"<style>{CSS}</style>", visible="hidden")
    timer = gr.Timer(1.0, active=False)
    picker = gr.Dropdown(
        start.run_choices(bench), value=None, label="Run", elem_id="invert-run",
        info="Every word that was learned here or in the terminal, the newest first.",
    )  # fmt: skip
    standing = standing_view(bench, run, start.JOB, timer)
    parts, leave = _place()
    speed = Speed()

    def refresh(name: str, token: str | None, seen: dict[str, Any] | None) -> Any:
        return _changes(bench, speed, name, token or "", seen or {})

    def turned(name: str, token: str | None) -> Any:
        choices = start.run_choices(bench)
        known = name if (name, name) in choices else None
        return [gr.Dropdown(choices=choices, value=known), *refresh(name, token, {})]

    def onward(name: str, token: str) -> dict[str, Any]:
        learning = read_learning(bench.folder(name, start.JOB))
        return words.onward(learning, word_of(learning, token or ""))

    watched = [run, parts.which, parts.seen]
    gr.on([timer.tick, standing.outputs[0].change], refresh, watched, parts.outputs, **QUIET)
    parts.which.input(refresh, watched, parts.outputs, trigger_mode="always_last", **QUIET)
    run.change(turned, [run, parts.which], [picker, *parts.outputs], **QUIET)
    picker.input(lambda name: name or "", picker, run, **QUIET)
    picker.focus(lambda: gr.Dropdown(choices=start.run_choices(bench)), None, picker, **QUIET)
    _wire(bench, run, parts)
    return View(timer, parts.which, leave, onward)


def _place() -> tuple[_Parts, Any]:
    which = gr.Dropdown([], label="Word", visible=False)
    facts = _html("invert-facts", EMPTY)
    strip = _html("invert-strip", js_on_load=_TO_THE_END)
    charts, nearest = _html("invert-charts"), _html("invert-nearest")
    with gr.Column(visible=False) as take:
        _html("invert-take", "<h3>Take the word along</h3>")
        program = gr.Dropdown(
            [one.name for one in words.PROGRAMS],
            value=words.PROGRAMS[0].name,
            label="For",
            elem_id="invert-program",
        )
        use = _html("invert-use")
        with gr.Row():
            download = gr.DownloadButton(
                "Download", variant="primary", elem_id="invert-download", min_width=280
            )
            leave = gr.Button(
                "See it across the guidance scale", elem_id="invert-leave", min_width=280
            )
    with gr.Accordion("Loss and learning rate of the steps", open=False, visible=False) as more:
        side = _html("invert-side")
    with gr.Accordion("Report", open=False, visible=False) as report:
        frame = _html("invert-report")
    drawn = [facts, strip, charts, nearest, side]
    seen = gr.State({})
    return _Parts(which, drawn, more, take, program, download, use, report, frame, seen), leave


def _html(elem_id: str, value: str = "", **more: Any) -> Any:
    return gr.HTML(value, elem_id=elem_id, elem_classes="pw", apply_default_css=False, **more)


def _changes(bench: Bench, speed: Speed, name: str, token: str, seen: dict[str, Any]) -> list[Any]:
    """What to send to `_Parts.outputs`: of every component only what is new to this window."""
    learning, sentence = _read(bench, name)
    if learning is None:
        now: dict[str, Any] = {"drawn": Shown(sentence).parts}
        word = None
    else:
        word = word_of(learning, token)
        rate = speed.of(name, learning.step)
        latest = bench.queue.of(name, start.JOB)
        elsewhere = latest is None or latest.status != "running"
        now = {"drawn": shown_of(learning, word, rate, timed=elsewhere).parts}
        now["words"] = [one.token for one in learning.words]
        now["token"], now["more"] = word.token, bool(word.loss)
        now["file"] = str(word.file) if may_leave(learning, word) else ""
        now["report"] = str(learning.report or "")
    now["run"] = name
    before = seen.get("drawn", ("",) * 5) if seen else (None,) * 5
    drawn = [gr.skip() if a == b else b for a, b in zip(before, now["drawn"], strict=True)]

    def fresh(*keys: str) -> bool:
        return not seen or any(seen.get(key) != now.get(key) for key in keys)

    tokens = now.get("words", [])
    which, more, report, frame = gr.skip(), gr.skip(), gr.skip(), gr.skip()
    if fresh("words", "token"):
        which = gr.Dropdown(tokens, value=now.get("token"), visible=len(tokens) > 1)
    if fresh("more"):
        more = gr.Accordion(visible=now.get("more", False))
    if fresh("report", "run"):
        report, frame = gr.Accordion(visible=bool(now.get("report")), open=False), ""
    take: list[Any] = [gr.skip()] * 4
    if fresh("file", "run"):
        take = [gr.Column(visible=False), *[gr.skip()] * 3]
        if learning and word and now["file"]:
            first = words.PROGRAMS[0].name
            take = [gr.Column(visible=True), first, *_offer(bench, learning, word, first)]
    return [which, *drawn, more, *take, report, frame, now]


def _read(bench: Bench, name: str) -> tuple[Learning | None, str]:
    """The run; or what to show where there is none: nothing, while it waits for its turn."""
    if not name:
        return None, EMPTY
    try:
        folder = bench.folder(name, start.JOB)
        return (read_learning(folder), "") if folder.exists() else (None, "")
    except UserError as problem:
        return None, f'<p class="pw-empty">{html.escape(str(problem))}</p>'


def _offer(bench: Bench, learning: Learning, word: Word, program: str) -> list[Any]:
    """The button with the file, and the sentence on its use."""
    parcel = words.parcel(bench, learning, word, program)
    so_far = "" if word.finished else f" This is the best so far, of step {word.best_step}."
    button = gr.DownloadButton(f"Download {parcel.path.name}", value=str(parcel.path))
    return [button, f'<p class="pw-soft">{html.escape(parcel.use + so_far)}</p>']


def _wire(bench: Bench, run: gr.State, parts: _Parts) -> None:
    @guarded
    def prepare(name: str, token: str | None, program: str) -> Any:
        learning = read_learning(bench.folder(name, start.JOB))
        return _offer(bench, learning, word_of(learning, token or ""), program)

    @guarded
    def unfold(name: str) -> Any:
        learning = read_learning(bench.folder(name, start.JOB))
        if learning.report is None:
            return ""
        page = bench.places.inside(str(learning.report)).read_text(encoding="utf-8")
        return (
            f'<iframe class="pw-report" sandbox="" title="report" srcdoc="{html.escape(page)}">'
            "</iframe>"
        )

    @guarded
    def found(asked: str | None) -> Any:
        query = parse_qs(str(asked)[:2000].removeprefix("?"))
        if query.get("run") and query.get("tab") == ["invert"]:
            return gr.skip()  # the address says which run
        return start.at_work(bench) or gr.skip()

    inputs = [run, parts.which, parts.program]
    busy: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private"}
    parts.program.input(
        prepare, inputs, [parts.download, parts.use], trigger_mode="always_last", **busy
    )
    parts.report.expand(unfold, run, parts.frame, **busy)
    page = Context.root_block
    if page is not None:
        page.load(found, parts.frame, run, js="() => [window.studioAsked || '']", **QUIET)
