"""The tab Runs: everything in outputs/, newest first, whoever made it."""

import html
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from lab.errors import UserError
from lab.run import MANIFEST
from studio import cli
from studio.progress import spoken
from studio.web.bench import Bench, Tab
from studio.web.parts import guarded, standing_html
from studio.web.runs import listing, text
from studio.web.runs.listing import Card
from studio.web.tickets import Standing

PAGE = 12
"""Runs that are shown at once."""
JOBS = {
    "cropping": "Crop", "inversion": "Invert", "cfg": "Guidance", "ddpm": "Denoise",
    "sample": "Comparison", "skew": "Skew", "tune": "Search",
}  # fmt: skip
_STATES = {
    "complete": "Done", "running": "Working", "interrupted": "Stopped", "failed": "Failed",
    "unknown": "Damaged",
}  # fmt: skip
_CLICKS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-do]');
  if (button) trigger('click', {act: button.dataset.do, name: button.dataset.name,
                                job: button.dataset.job});
});
"""
_READER = """
watch('value', () => {
  const close = element.querySelector('button[data-do=close]');
  if (close) { element.scrollIntoView({block: 'start'}); close.focus(); }
});
"""
_TO_TEXT = """() => {
  const fold = document.getElementById('runs-experiment');
  if (!fold.contains(document.activeElement)) fold.scrollIntoView();
}"""
"""Where the text was filled from a card, which may be far below."""


def tab(bench: Bench, page: gr.Blocks, this: gr.Tab, tabs: Sequence[Tab], chosen: gr.Tabs) -> None:
    """Build the tab inside the Blocks that is open.

    `this` is the gr.Tab of `page` it lies in, `tabs` are those whose forms "Make this again"
    fills, and `chosen` is the page's gr.Tabs.
    """
    with gr.Row(elem_classes="runs-head"):
        kind = gr.Dropdown(
            [("Everything", ""), *((title, job) for job, title in JOBS.items())],
            value="", label="Show", min_width=140, scale=1, filterable=False,
        )  # fmt: skip
        words = gr.Textbox(
            label="Name", value="", placeholder="part of a name", min_width=140, scale=1
        )
    experiment = _experiment(bench)
    waiting = gr.HTML("", elem_id="runs-queue", js_on_load=_CLICKS)
    reader = gr.HTML("", elem_id="runs-reader", js_on_load=_CLICKS + _READER)
    cards = gr.HTML("", elem_id="runs-cards", js_on_load=_CLICKS)
    with gr.Row(elem_classes="runs-foot"):
        newer = gr.Button("Newer", size="sm", min_width=90, visible=False)
        older = gr.Button("Older", size="sm", min_width=90, visible=False)
    first, last = gr.State(0), gr.State(("", ""))
    timer = gr.Timer(2, active=False)
    shown = [waiting, cards, newer, older, timer, first, last]
    asked = [kind, words, first, last]

    @guarded
    def refresh(kind: str, words: str, first: int, last: tuple[str, str], move: int = 0) -> Any:
        return _refreshed(bench, kind, words, max(0, first + move * PAGE), last)

    def from_start(kind: str, words: str, first: int, last: tuple[str, str]) -> Any:
        return refresh(kind, words, 0, last)

    quiet: Any = {"show_progress": "hidden", "api_visibility": "private"}
    gr.on([page.load, this.select, timer.tick], refresh, asked, shown, **quiet)
    gr.on([kind.change, words.change], from_start, asked, shown, **quiet)
    for button, move in ((newer, -1), (older, 1)):
        button.click(partial(refresh, move=move), asked, shown, **quiet)
    forms = [component for one in tabs for component in (one.run_state, *one.inputs)]

    @guarded
    def pressed(event: gr.EventData) -> Any:
        return _pressed(bench, tabs, dict(event._data or {}))

    for place in (waiting, reader, cards):
        written = [experiment.text, experiment.fold]
        done = place.click(pressed, None, [reader, *written, chosen, *forms], **quiet)
        done.then(refresh, asked, shown, **quiet)

    @guarded
    def begin(written: str) -> Any:
        text.begin(bench, written)
        return gr.Timer(active=True)

    begun = experiment.press.click(begin, experiment.text, timer, **quiet)
    begun.then(refresh, asked, shown, **quiet)


@dataclass(frozen=True)
class _Experiment:
    """The part of the tab for what has no form of its own."""

    fold: gr.Accordion
    text: gr.Textbox
    press: gr.Button


def _experiment(bench: Bench) -> _Experiment:
    with gr.Accordion("An experiment as text", open=False, elem_id="runs-experiment") as fold:
        file = gr.Dropdown(
            text.files_in(bench.places), value=None, allow_custom_value=True, label="Open a file"
        )
        box = gr.Textbox(
            label="Experiment", lines=12, max_lines=30, elem_classes="runs-text",
            info="What pseudoword run does: its sections in their order, in the folder of its "
            "name. A run of that name goes on, or is made anew where settings are others.",
        )  # fmt: skip
        press = gr.Button("Start", variant="primary", elem_id="runs-start")
    opened = guarded(lambda file: text.read(bench.places, file) if file else gr.skip())
    quiet: Any = {"show_progress": "hidden", "api_visibility": "private"}
    file.input(opened, file, box, **quiet)
    box.change(None, js=_TO_TEXT)
    return _Experiment(fold, box, press)


def _refreshed(bench: Bench, kind: str, words: str, first: int, last: tuple[str, str]) -> Any:
    """The values of what is shown; none for what is as it was."""
    jobs = [job for job in JOBS if job in bench.queue.jobs]
    if kind and kind not in jobs:
        raise UserError("there are no such runs")
    kind, words = str(kind or ""), str(words or "")[:200]
    found = listing.entries(bench.outputs, jobs, kind, words)
    first = min(first, max(0, (len(found) - 1) // PAGE * PAGE))
    models = cli.models({job: bench.queue.jobs[job] for job in jobs})
    page = [listing.read_card(entry, models) for entry in found[first : first + PAGE]]
    with_form = {"cropping", "inversion", "cfg", "ddpm"}
    made = "".join(card_html(card, card.entry.job in with_form) for card in page)
    if not page:
        sentence = "Nothing here yet." if not (kind or words) else "No run is called that."
        made = f'<p class="runs-none">{sentence}</p>'
    made = f'<div class="cards">{made}</div>'
    known = bench.queue.all()
    work = [standing for standing in known if standing.place >= 0]
    waiting = "".join(ticket_html(one) for one in [*work, *_without_a_card(bench, known)])
    return (
        waiting if waiting != last[0] else gr.skip(),
        made if made != last[1] else gr.skip(),
        gr.Button(visible=first > 0),
        gr.Button(visible=first + PAGE < len(found)),
        gr.Timer(active=bool(work)),
        first,
        (waiting, made),
    )


def _without_a_card(bench: Bench, known: Sequence[Standing]) -> list[Standing]:
    """What failed within the last hour before it had a folder, and so has no card to say why."""
    return [
        one
        for one in known
        if one.status == "failed"
        and one.ended > time.time() - 3600
        and bench.queue.of(one.name, one.jobs[0]) == one
        and not any((bench.outputs / one.name / job / MANIFEST).exists() for job in one.jobs)
    ]


def _pressed(bench: Bench, tabs: Sequence[Tab], wish: dict[str, Any]) -> Any:
    """What a button of a card or of the queue does: values for reader, text, its fold, tabs and
    forms."""
    act, name, job = (str(wish.get(key, "")) for key in ("act", "name", "job"))
    nothing = [gr.skip()] * sum(1 + len(one.inputs) for one in tabs)
    unwritten = [gr.skip()] * 3
    if act == "close":
        return ["", *unwritten, *nothing]
    folder = bench.folder(name, job)
    manifest = listing.read_json(folder / MANIFEST)
    if act == "report":
        return [report_html(name, folder, manifest), *unwritten, *nothing]
    if act == "stop":
        standing = bench.queue.of(name, job)
        if standing is not None:
            bench.queue.stop(standing.id)
        return [gr.skip(), *unwritten, *nothing]
    if act == "resume":
        bench.queue.again(name, job)
        return [gr.skip(), *unwritten, *nothing]
    if act not in ("open", "again"):
        raise UserError("there is no such button")
    if act == "again" and job not in {one.job for one in tabs}:
        models = cli.models(bench.queue.jobs)
        written = text.again(manifest.get("configuration"), job, name, models)
        return ["", written, gr.Accordion(open=True), gr.skip(), *nothing]
    target, values = filled(tabs, job, manifest, name if act == "open" else "")
    return ["", gr.skip(), gr.skip(), gr.Tabs(selected=target), *values]


def filled(
    tabs: Sequence[Tab], job: str, manifest: dict[str, Any], run: str
) -> tuple[str, list[Any]]:
    """Which tab has a job's form, and the values of all tabs' run states and forms, this one's
    filled as the manifest says. `run` is the one that it then shows.

    Raises:
        UserError: when the manifest does not say how the run was made, or no tab makes such.
    """
    configuration = manifest.get("configuration")
    if not isinstance(configuration, dict) or not isinstance(configuration.get(job), dict):
        raise UserError("how this run was made is not written in its manifest.json")
    target, values = "", []
    for one in tabs:
        if one.job != job:
            values += [gr.skip()] * (1 + len(one.inputs))
            continue
        target = one.id
        values += [run, *one.fill(configuration)]
    if not target:
        raise UserError("this kind of run is made in the terminal")
    return target, values


def card_html(card: Card, has_form: bool) -> str:
    """A run as a card."""
    entry, say = card.entry, html.escape
    named = f'data-name="{say(entry.name)}" data-job="{say(entry.job)}"'
    shots = "".join(
        f'<img src="{say(address(path, entry.changed))}" alt="" loading="lazy">'
        for path in card.pictures
    )
    took = spoken(card.seconds) if card.seconds and card.status == "complete" else ""
    when = " · ".join(filter(None, [card.started, took]))
    buttons = []
    if has_form and card.can_repeat:
        buttons.append(("open", "Open"))
    if card.can_repeat:
        buttons.append(("again", "Make this again"))
    if card.status in ("failed", "interrupted") and card.can_repeat:
        buttons.append(("resume", "Go on"))
    if card.files and card.files[0][0].suffix == ".html":
        buttons.append(("report", "Report"))
    acts = "".join(
        f'<button type="button" data-do="{act}" {named}>{title}'
        f'<span class="unseen"> {say(entry.name)}</span></button>'
        for act, title in buttons
    )
    why = f'<p class="why">{say(card.failure)}</p>' if card.failure else ""
    return (
        f'<article class="card {say(card.status)}">'
        f'<div class="shots shots-{len(card.pictures)}">{shots}</div>'
        f"<h3>{say(entry.name)}</h3>"
        f'<p class="meta"><b>{JOBS[entry.job]}</b>'
        f'<span class="badge {say(card.status)}">{_STATES.get(card.status, "Damaged")}</span>'
        f"<span>{say(when)}</span></p>{why}"
        f"{_fold('Notes', _list(card.notes))}{_fold('Settings', _settings(card.settings))}"
        f"{_fold('Files', _links(card))}"
        f'<div class="acts">{acts}</div></article>'
    )


def ticket_html(standing: Standing) -> str:
    """A line of the queue, with its button."""
    say = html.escape
    stop = (
        f'<button type="button" data-do="stop" data-name="{say(standing.name)}" '
        f'data-job="{say(standing.jobs[0])}">Stop<span class="unseen"> {say(standing.name)}</span>'
        "</button>"
    )
    return (
        f'<div class="ticket"><div><b>{say(standing.name)}</b> <span>{say(standing.what)}</span>'
        f"{standing_html(standing)}</div>{stop if standing.place >= 0 else ''}</div>"
    )


def report_html(name: str, folder: Path, manifest: dict[str, Any]) -> str:
    """A run's report, opened in place, where its scripts reach nothing.

    Raises:
        UserError: when there is none.
    """
    reports = [path for path, _ in listing.files_of(folder, manifest) if path.suffix == ".html"]
    if not reports:
        raise UserError(f"{name} has no report yet")
    where = html.escape(address(reports[0], reports[0].stat().st_mtime))
    return (
        '<section class="reader" aria-label="Report">'
        f'<div class="acts"><h3>{html.escape(name)}</h3>'
        f'<a href="{where}" target="_blank" rel="noopener">Open in a window</a>'
        f'<a href="{where}" download="{html.escape(name)}.html">Download</a>'
        '<button type="button" data-do="close">Close</button></div>'
        f'<iframe src="{where}" sandbox="allow-scripts" title="Report of {html.escape(name)}">'
        "</iframe></section>"
    )


def address(path: Path, changed: float | None = None) -> str:
    """Where the page gets a file of outputs/; another address once it has changed."""
    version = f"?v={changed:.0f}" if changed else ""
    return "/gradio_api/file=" + quote(str(path)) + version


def _fold(title: str, inside: str) -> str:
    return f"<details><summary>{title}</summary>{inside}</details>" if inside else ""


def _list(sentences: Sequence[str]) -> str:
    lines = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{lines}</ul>" if lines else ""


def _settings(settings: Sequence[tuple[str, str]]) -> str:
    rows = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in settings
    )
    return f"<dl>{rows}</dl>" if rows else ""


def _links(card: Card) -> str:
    lines = "".join(
        f'<li><a href="{html.escape(address(path))}" download="{html.escape(path.name)}">'
        f"{html.escape(path.name)}</a> {html.escape(what)}</li>"
        for path, what in card.files
    )
    return f"<ul>{lines}</ul>" if lines else ""
