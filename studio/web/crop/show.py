"""What a window shows of a run of cropping, and what has to be sent to it anew."""

import html
import json
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr

from cropping.job import INDEX
from lab.errors import UserError
from studio.web.bench import Bench
from studio.web.crop.board import Thumbnails, board
from studio.web.crop.edits import file_of
from studio.web.crop.read import Crops, order_of, page_of, stamp_of
from studio.web.crop.work import JOB, crops_of, recut
from studio.web.tickets import OPEN

EMPTY = {"run": "", "prefix": "", "cards": []}


@dataclass(frozen=True)
class Window:
    """What one window of the browser looks at."""

    run: str = ""
    page: int = 0
    show: str = "all"
    order: tuple[str, ...] = ()
    """The pictures' names, kept while they are looked at: a correction moves no picture away."""
    settled: bool = False
    """Whether `order` was made of a finished run."""
    crops: Crops | None = field(default=None, repr=False)
    sent: str = ""
    """What was shown last."""
    packed: int = 0
    """When the index was written that the zip holds."""
    asked: int = 0
    """When the corrections were written that this window last asked to be cut."""


@dataclass(frozen=True)
class Look:
    """What is shown, before it becomes gradio's updates."""

    window: Window
    value: dict[str, Any]
    summary: str
    place: str
    pages: int
    is_finished: bool
    active: bool

    @property
    def text(self) -> str:
        return json.dumps([self.value, self.summary, self.place, self.is_finished])


def look(bench: Bench, thumbnails: Thumbnails, window: Window, *, anew: bool = False) -> Look:
    """Read the run of a window. `anew`: put the pictures in order again.

    Corrections that nobody cuts, because they came while the run was being made, are queued here.
    """
    if not window.run:
        return Look(Window(), EMPTY, "", "", 1, False, False)
    folder = bench.folder(window.run, JOB)
    try:
        crops = crops_of(bench, window.run, window.crops)
    except UserError as error:  # not as a warning, which would come again each second
        text = f'<p class="state failed"><b>{html.escape(str(error))}</b></p>'
        value = EMPTY | {"run": window.run}
        return Look(replace(window, crops=None), value, text, "", 1, False, False)
    latest = bench.queue.of(window.run, JOB)
    at_work = latest is not None and latest.status in OPEN
    if crops is None:
        value = EMPTY | {"run": window.run}
        return Look(replace(window, crops=None), value, "", "", 1, False, at_work)
    is_done = crops.status == "complete" and not at_work
    if crops.waiting and is_done and (latest is None or latest.status == "done"):
        stamp = stamp_of(file_of(folder))
        if stamp != window.asked:
            recut(bench, window.run)
            window, at_work = replace(window, asked=stamp), True
    if anew or not window.settled:
        order = order_of(crops, window.show) if is_done else [card.name for card in crops.cards]
        window = replace(window, order=tuple(order), settled=is_done)
    cards, page, pages = page_of(crops, list(window.order), window.page)
    pictures = {card.name: thumbnails.of(card, crops.source) for card in cards}
    coming = any(thumbnails.is_coming(card) for card in cards)
    window = replace(window, page=page, crops=crops)
    return Look(
        window,
        board(crops, cards, pictures),
        _summary(crops, window, bool(cards)),
        f"Page {page + 1} of {pages}",
        pages,
        is_done and not crops.waiting and stamp_of(folder / INDEX) > 0,
        at_work or crops.status == "running" or coming,
    )


def _summary(crops: Crops, window: Window, any_shown: bool) -> str:
    """How many there are, and what could not be read."""
    inside = [card for card in crops.cards if not card.is_out]
    count = sum(len(card.crops) for card in inside)
    parts = [f"<b>{_counted(len(crops.cards), 'picture')}</b>, {_counted(count, 'crop')}"]
    if warned := sum(card.is_warned for card in inside):
        parts.append(f"{warned} with warnings")
    if out := len(crops.cards) - len(inside):
        parts.append(f"{out} left out")
    if crops.waiting:
        parts.append(f"{crops.waiting} being cut")
    text = f'<p class="state">{", ".join(parts)}</p>'
    if not any_shown and crops.cards:
        text += '<p class="state"><span>None of them is of this kind.</span></p>'
    if crops.problems:
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in crops.problems[:50])
        unread = _counted(len(crops.problems), "picture")
        text += f"<details><summary>{unread} could not be used</summary><ul>{lines}</ul></details>"
    return text


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def refused(now: Look, before: Window) -> list[Any]:
    """`updates` that put the browser's pictures back to what holds."""
    value = now.value | {"refused": secrets.token_hex(4)}
    return updates(replace(now, value=value), before)


def updates(now: Look, before: Window) -> list[Any]:
    """Of: window, board, summary, pager row, place, tools row, last row, download, pulse."""
    text = now.text
    window = replace(now.window, sent=text)
    if text == before.sent:
        return [window, *[gr.skip()] * 7, gr.Timer(active=now.active)]
    shown = bool(now.value["cards"]) or bool(now.summary)
    index = now.window.packed and now.is_finished
    return [
        window,
        now.value,
        now.summary,
        gr.Row(visible=now.pages > 1),
        f"<p>{now.place}</p>",
        gr.Row(visible=shown),
        gr.Row(visible=shown),
        gr.skip() if index else gr.DownloadButton(visible=False),
        gr.Timer(active=now.active),
    ]
