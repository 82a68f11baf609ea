"""The tab Crop: pictures in, a data set out. The form begins a run, the rest looks at it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from cropping.job import INDEX
from lab.errors import UserError
from lab.images import SUFFIXES
from studio.web.bench import Bench, Tab
from studio.web.crop import work
from studio.web.crop.board import Thumbnails
from studio.web.crop.form import (
    TEXTS,
    Form,
    folders_of,
    form_from,
    form_of,
    pictures_in,
    take_in,
)
from studio.web.crop.read import stamp_of
from studio.web.crop.show import EMPTY, Window, look, refused, updates
from studio.web.parts import guarded, said, standing_view
from studio.web.places import short

_HERE = Path(__file__).parent
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_IN_TURN: dict[str, Any] = _QUIET | {"concurrency_id": "crop", "concurrency_limit": 1}
"""One after another: each of these events changes what its window looks at."""
_DROP = "Drop pictures here"
_TO_TOP = "() => document.getElementById('crop-summary').scrollIntoView()"
_WAYS = [
    ("Automatic", "automatic"),
    ("One crop each", "crop"),
    ("Several tiles", "tiles"),
    ("Whole, padded", "whole"),
]
_SIDECARS = [
    ("Takes its place", "copy"),
    ("Goes before it", "prepend"),
    ("Goes after it", "append"),
    ("Does not count", "ignore"),
]
_SHOW = [
    ("All", "all"),
    ("Only with warnings", "warnings"),
    ("Corrected by hand", "hand"),
    ("Left out", "out"),
]


@dataclass(frozen=True)
class CropTab(Tab):
    """The tab, with what leads on from it."""

    learn: gr.Button


@dataclass(frozen=True)
class _View:
    """What is under the form."""

    board: gr.HTML
    summary: gr.HTML
    pager: gr.Row
    place: gr.HTML
    tools: gr.Row
    ends: gr.Row
    download: gr.DownloadButton
    show: gr.Radio
    earlier: gr.Button
    later: gr.Button
    write: gr.Button
    learn: gr.Button


def tab(bench: Bench) -> CropTab:
    """Build the tab inside the Blocks that is open."""
    run, window = gr.State(""), gr.State(Window())
    pulse, timer = gr.Timer(1, active=False), gr.Timer(1, active=False)
    inputs, files, sheet, begin = _form(bench)
    standing_view(bench, run, work.JOB, timer)
    shown = _view()
    thumbnails = Thumbnails(bench.places)
    outputs = [window, shown.board, shown.summary, shown.pager, shown.place, shown.tools,
               shown.ends, shown.download, pulse]  # fmt: skip

    @guarded
    def begun(*values: Any) -> Any:
        name = work.begin(bench, form_from(values))
        seen = look(bench, thumbnails, Window(run=name), anew=True)
        return [name, name, "all", gr.Timer(active=True), *updates(seen, Window())]

    @guarded
    def opened(name: str, seen: Window) -> Any:
        if name == seen.run:
            return gr.skip()
        seen = Window(run=name)
        return ["all", *updates(look(bench, thumbnails, seen, anew=True), Window())]

    @guarded
    def again(seen: Window) -> Any:
        return updates(look(bench, thumbnails, seen), seen)

    @guarded
    def edited(event: gr.EventData, name: str, seen: Window) -> Any:
        crops = work.crops_of(bench, name, seen.crops) if name else None
        if crops is None:
            raise UserError("find the crops first")
        try:
            work.edit(bench, name, crops, event._data)
        except UserError as error:
            said(error)
            return [gr.skip(), *refused(look(bench, thumbnails, seen), seen)]
        seen = replace(seen, crops=crops)
        return [gr.Timer(active=True), *updates(look(bench, thumbnails, seen), seen)]

    _wire_form(bench, inputs, files)
    _wire_sheet(bench, inputs, files, sheet)
    begin.click(begun, inputs, [run, inputs[2], shown.show, timer, *outputs], **_IN_TURN)
    run.change(opened, [run, window], [shown.show, *outputs], **_IN_TURN)
    pulse.tick(again, window, outputs, **_IN_TURN)
    shown.board.edit(  # an event of crop.js
        edited, [run, window], [timer, *outputs], trigger_mode="multiple", **_IN_TURN,
    )  # fmt: skip
    _wire_view(bench, thumbnails, shown, run, window, outputs)

    def fill(configuration: dict[str, Any]) -> Sequence[Any]:
        return form_of(configuration, bench.outputs).values

    return CropTab("crop", work.JOB, inputs, fill, run, shown.learn)


def onward(bench: Bench, tabs: Any, here: CropTab, invert: Tab) -> None:
    """Let the button "Learn a word from these" fill the tab Invert and open it."""

    @guarded
    def learn(name: str) -> Any:
        work.require_finished(bench, name)
        data = str(short(bench.folder(name, work.JOB)))
        return [gr.Tabs(selected=invert.id), *invert.fill({"inversion": {"data": data}})]

    here.learn.click(learn, here.run_state, [tabs, *invert.inputs], **_QUIET)


def _form(bench: Bench) -> tuple[list[Any], gr.File, gr.HTML, gr.Button]:
    """The inputs, in the order of `Form`; where pictures are dropped, and where some of them are
    shown; the button that begins."""
    begin = Form()
    dropped = gr.State(begin.dropped)
    rest = gr.State({})
    with gr.Row(elem_classes="crop-form"):
        with gr.Column(scale=5, min_width=300):
            files = gr.File(
                label=_DROP, file_count="multiple", height=170,
                file_types=[*SUFFIXES, *TEXTS], elem_id="crop-files",
            )  # fmt: skip
            source = gr.Dropdown(
                folders_of(bench.places), value="", allow_custom_value=True,
                label="or a folder of this machine", elem_id="crop-source",
            )  # fmt: skip
            sheet = gr.HTML("", elem_id="crop-chosen", apply_default_css=False)
        with gr.Column(scale=6, min_width=300):
            with gr.Row():
                name = gr.Textbox(
                    label="Name", placeholder="of this data set", max_length=100,
                    elem_id="crop-name", min_width=150, scale=2,
                )  # fmt: skip
                size = gr.Number(
                    begin.size, label="Size, px", step=64, minimum=16, maximum=4096,
                    elem_id="crop-size", min_width=110, scale=1,
                )  # fmt: skip
            way = gr.Radio(
                _WAYS, value=begin.way, label="From every picture",
                info="Automatic crops, and pads where a crop would cut off too much.",
            )  # fmt: skip
            press = gr.Button("Find the crops", variant="primary", size="lg", elem_id="crop-press")
    with gr.Accordion("More settings", open=False):
        more = _more(begin)
    fill, sidecar, prefix, strip, damage, buckets, twice, blank, detector = more
    inputs = [source, dropped, name, way, size, fill, sidecar, prefix, strip, damage, buckets,
              twice, blank, detector, rest]  # fmt: skip
    return inputs, files, sheet, press


def _more(begin: Form) -> list[Any]:
    """The fields that most never need."""
    with gr.Row():
        fill = gr.Radio(
            [("The edge's colour", "edge"), ("Blurred", "blur"), ("Mirrored", "mirror")],
            value=begin.fill, label="Padding shows", min_width=280,
        )  # fmt: skip
        damage = gr.Radio(
            [("Not learned from", "mask"), ("Painted over", "repair"), ("Left as it is", "leave")],
            value=begin.damage, label="Creases, gutters and glare of scans are", min_width=280,
        )  # fmt: skip
    with gr.Row():
        sidecar = gr.Radio(
            _SIDECARS, value=begin.sidecar, label="A .txt beside a picture", min_width=280,
            info="The caption is the file's name otherwise.",
        )  # fmt: skip
        with gr.Column(min_width=280):
            prefix = gr.Textbox(label="Words before every caption", max_length=500)
            strip = gr.Checkbox(begin.strip_numbers, label="Leave out a number at its beginning")
    with gr.Row():
        with gr.Column(min_width=280):
            buckets = gr.Checkbox(begin.buckets, label="Keep the pictures' shapes, not squares")
            twice = gr.Checkbox(begin.twice, label="Leave out pictures that are there twice")
            blank = gr.Checkbox(begin.blank, label="Leave out crops with nothing in them")
        detector = gr.Textbox(
            label="Detector of faces or figures", min_width=280, max_length=500,
            info="A YuNet .onnx file, or a transformers model. Empty: none.",
        )  # fmt: skip
    return [fill, sidecar, prefix, strip, damage, buckets, twice, blank, detector]


def _view() -> _View:
    summary = gr.HTML("", padding=False, elem_id="crop-summary")
    with gr.Row(visible=False) as tools:
        show = gr.Radio(
            _SHOW, value="all", label="Show", container=False, elem_id="crop-show", min_width=280
        )
    shown = gr.HTML(
        EMPTY,
        html_template=(_HERE / "crop.html").read_text(encoding="utf-8"),
        css_template=(_HERE / "crop.css").read_text(encoding="utf-8"),
        js_on_load=_script("rectangles.js") + _script("crop.js"),
        apply_default_css=False,
        padding=False,
        elem_id="crop-board",
    )
    with gr.Row(visible=False, elem_classes="crop-pager") as pager:
        earlier = gr.Button("Earlier", size="sm", min_width=90, scale=0)
        place = gr.HTML("", min_width=120, scale=0)
        later = gr.Button("Later", size="sm", min_width=90, scale=0)
    with gr.Row(visible=False) as ends:
        write = gr.Button("Write the data set", elem_id="crop-write", min_width=200)
        download = gr.DownloadButton(
            "Download", visible=False, elem_id="crop-download", min_width=200, variant="primary"
        )
        learn = gr.Button("Learn a word from these", elem_id="crop-learn", min_width=200)
    return _View(
        shown, summary, pager, place, tools, ends, download, show, earlier, later, write, learn
    )


def _script(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _wire_form(bench: Bench, inputs: Sequence[Any], files: gr.File) -> None:
    """Dropped pictures are copied into the studio; the component is then ready for more."""
    source, dropped, name = inputs[:3]
    proposed = gr.State("")

    @guarded
    def taken(
        paths: list[str] | None, folder: str, name: str, proposed: str, request: gr.Request
    ) -> Any:
        if not paths:
            return gr.skip()
        place = Path(folder) if folder else work.drop_folder(bench, str(request.session_hash))
        refused = take_in(paths, bench.places.inside(str(place)))
        if refused:
            gr.Warning(f"Not a picture: {', '.join(refused[:5])}", title="")
        wish = work.name_for(bench, place, name, proposed)
        return None, str(place), wish, "", wish

    given, filled = [files, dropped, name, proposed], [files, dropped, name, source, proposed]
    files.upload(taken, given, filled, **_QUIET)

    @guarded
    def chosen(source: str | None, name: str, proposed: str) -> Any:
        if not source:
            return gr.skip()
        wish = work.name_for(bench, bench.places.inside(source), name, proposed)
        return "", wish, wish

    def labelled(folder: str) -> Any:
        count = len(pictures_in(Path(folder))) if folder else 0
        plural = "" if count == 1 else "s"
        return gr.File(label=f"{count} picture{plural}; drop more" if count else _DROP)

    dropped.change(labelled, dropped, files, **_QUIET)
    files.change(labelled, dropped, files, **_QUIET)
    source.input(chosen, [source, name, proposed], [dropped, name, proposed], **_QUIET)
    source.focus(lambda: gr.Dropdown(choices=folders_of(bench.places)), None, source, **_QUIET)


def _wire_sheet(bench: Bench, inputs: Sequence[Any], files: gr.File, sheet: gr.HTML) -> None:
    """Show what was chosen, also where a form was filled from elsewhere."""

    def shown(source: str | None, folder: str) -> str:
        try:
            return work.chosen(bench, source or folder)
        except UserError:  # said where it was chosen, and where it begins
            return ""

    given = [inputs[0], inputs[1]]
    gr.on([one.change for one in (*given, files)], shown, given, sheet,
          trigger_mode="always_last", **_QUIET)  # fmt: skip


def _wire_view(
    bench: Bench,
    thumbnails: Thumbnails,
    shown: _View,
    run: gr.State,
    window: gr.State,
    outputs: list[Any],
) -> None:
    def turned(by: int) -> Any:
        @guarded
        def turn(seen: Window) -> Any:
            moved = replace(seen, page=max(0, seen.page + by))
            return updates(look(bench, thumbnails, moved), seen)

        return turn

    @guarded
    def filtered(show: str, seen: Window) -> Any:
        return updates(look(bench, thumbnails, replace(seen, show=show, page=0), anew=True), seen)

    @guarded
    def written(name: str, seen: Window) -> Any:
        path = work.pack(bench, name)
        megabytes = path.stat().st_size / 1e6
        stamp = stamp_of(bench.folder(name, work.JOB) / INDEX)
        button = gr.DownloadButton(
            f"Download {path.name} ({megabytes:.1f} MB)", value=str(path), visible=True
        )
        return replace(seen, packed=stamp), button

    for button, by in ((shown.earlier, -1), (shown.later, +1)):
        done = button.click(turned(by), window, outputs, **_IN_TURN)
        done.then(None, js=_TO_TOP)
    shown.show.input(filtered, [shown.show, window], outputs, **_IN_TURN)
    shown.write.click(written, [run, window], [window, shown.download], **_IN_TURN)
