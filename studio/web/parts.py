"""What the tabs share: handlers that answer in sentences, the row that says how work stands."""

import functools
import html
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from lab.errors import UserError
from lab.forecast import duration
from lab.run import MANIFEST, Run
from studio.web.bench import Bench
from studio.web.runs.listing import is_held
from studio.web.tickets import Standing

UNFORESEEN = "That did not work, and it should have. The terminal of the studio shows why."
_WORD = {
    "waiting": "Waiting",
    "running": "Working",
    "done": "Done",
    "stopped": "Stopped",
    "failed": "Failed",
    "complete": "Done",
    "interrupted": "Stopped",
}
_WATCHED = (False, False, True)
_INTO_SIGHT = """(text) => {
  const row = text && document.getElementById('%s'), top = row && row.getBoundingClientRect().top;
  if (row && (top < 0 || top > innerHeight - 60)) row.scrollIntoView();
}"""
"""On a phone the form is far away: whoever presses its button is led to what comes of it."""


def guarded(handler: Callable) -> Callable:
    """An event handler whose mistakes become sentences on the page, and change nothing else there.

    A UserError is shown as it is. Anything else is one plain sentence, and its traceback goes to
    the terminal. Handlers that yield keep what they have shown.
    """
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def steps(*values: Any, **named: Any):
            try:
                yield from handler(*values, **named)
            except Exception as error:
                yield said(error)

        return steps

    @functools.wraps(handler)
    def one(*values: Any, **named: Any):
        try:
            return handler(*values, **named)
        except Exception as error:
            return said(error)

    return one


def said(error: Exception) -> Any:
    """Show what went wrong as a sentence, and change nothing else."""
    if isinstance(error, gr.Error):
        raise error
    if isinstance(error, UserError):
        sentence = str(error)
    else:
        sentence = UNFORESEEN
        traceback.print_exception(error, file=sys.stderr)
    if sentence.partition(" ")[0].isalpha():  # a word, and not a path
        sentence = sentence[0].upper() + sentence[1:]
    gr.Warning(html.escape(sentence).replace("\n", "<br>"), title="Please look again")
    return gr.skip()


@dataclass(frozen=True)
class StandingView:
    """The row of `standing_view`. Its tab lets its timer call `refresh` with the run's name."""

    outputs: list[Any]
    """The row's components, and the timer, in the order of `refresh`'s values."""
    refresh: Callable[[str], Any]


def standing_view(
    bench: Bench, name: gr.State, job: str, timer: gr.Timer, mark: str = ""
) -> StandingView:
    """A row that says how the work on a run stands, with buttons to stop it and to go on.

    It is filled when the run's name changes and at each tick of `timer`, which it switches on while
    the work is under way and off afterwards. A handler that queues work returns gr.Timer(active=
    True) for the timer, besides the name. `mark` tells two rows of the same job apart.
    """
    place = f"standing-{mark or job}"
    with gr.Row(elem_classes="standing", equal_height=True, elem_id=place):
        shown = gr.HTML("", elem_classes="standing-text", min_width=220, scale=4)
        stop = gr.Button("Stop", visible=False, size="sm", min_width=90, scale=0)
        resume = gr.Button("Go on", visible=False, size="sm", min_width=90, scale=0)
    last = gr.State("")

    def refresh(name: str, before: str = "") -> Any:
        text, may_stop, may_resume, active = describe(bench, name, job)
        if text == before:
            return gr.skip()
        return (
            text,
            gr.Button(visible=may_stop),
            gr.Button(visible=may_resume),
            gr.Timer(active=active),
            text,
        )

    @guarded
    def stopped(name: str) -> Any:
        latest = bench.queue.of(name, job)
        if latest is not None:
            bench.queue.stop(latest.id)
        return gr.Timer(active=True)

    @guarded
    def resumed(name: str) -> Any:
        bench.queue.again(name, job)
        return gr.Timer(active=True)

    outputs = [shown, stop, resume, timer, last]
    quiet: Any = {"show_progress": "hidden", "api_visibility": "private"}
    timer.tick(refresh, [name, last], outputs, **quiet)
    named = name.change(refresh, [name, last], outputs, **quiet)
    named.then(None, shown, js=_INTO_SIGHT % place)
    stop.click(stopped, name, timer, **quiet).then(refresh, name, outputs, **quiet)
    resume.click(resumed, name, timer, **quiet).then(refresh, name, outputs, **quiet)
    return StandingView(outputs, refresh)


def describe(bench: Bench, name: str, job: str) -> tuple[str, bool, bool, bool]:
    """How the work on a run stands: its HTML, and whether it can be stopped, gone on with, and has
    to be looked at again. Runs of the terminal are known by their folder."""
    if not name:
        return "", False, False, False
    latest = bench.queue.of(name, job)
    run = Run(bench.outputs, bench.places.name(name), job)
    manifest = run.read_manifest()
    if latest is not None and latest.status in ("waiting", "running"):
        return standing_html(latest), True, False, True
    status = str(manifest.get("status", ""))
    newer = latest is not None and latest.ended >= _changed(run.folder / MANIFEST)
    if latest is not None and (not status or (newer and latest.status == "failed")):
        return standing_html(latest), False, True, False
    if not status:
        return "", False, False, False
    if status == "running" and is_held(run.folder):
        return _line("Working", "in the terminal, or in another studio", "running"), *_WATCHED
    if status == "running":
        return _line("Cut off", "Go on continues it", "stopped"), False, True, False
    why = str(manifest.get("failure", ""))
    return _line(_WORD.get(status, status), why, status), False, status != "complete", False


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def standing_html(standing: Standing) -> str:
    """A ticket as a sentence, with a bar while it runs."""
    if standing.status == "waiting":
        next_one = (
            "the next one" if standing.place == 1 else f"number {standing.place} in the queue"
        )
        behind = f"; {standing.ahead} is under way" if standing.ahead else ""
        return _line("Waiting", ", ".join([next_one + behind, *_left(standing)]), "waiting")
    if standing.status != "running":
        return _line(_WORD[standing.status], standing.sentence, standing.status)
    stage = standing.stage or "beginning"
    parts = [f"{standing.done:,} of {standing.total:,}"] if standing.total > 1 else []
    parts += _left(standing)
    bar = ""
    if standing.total > 1:
        bar = (
            f'<progress max="{standing.total}" value="{standing.done}" '
            f'aria-label="{html.escape(stage)}"></progress>'
        )
    title = stage[:1].upper() + stage[1:]
    return _line(title, ", ".join(parts), "running") + bar


def _left(standing: Standing) -> list[str]:
    if standing.seconds_left is None:
        return []
    return [f"about {duration(standing.seconds_left)} left"]


def _line(title: str, detail: str, kind: str) -> str:
    tail = f" <span>{html.escape(detail)}</span>" if detail else ""
    return (
        f'<p role="status" class="state {html.escape(kind)}"><b>{html.escape(title)}</b>{tail}</p>'
    )
