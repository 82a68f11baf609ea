"""The tab Invert: pictures in, a word out. The form begins a run, the other half watches it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.web.bench import Bench, Tab
from studio.web.invert import form, start
from studio.web.invert.view import View, view
from studio.web.models import model_choices
from studio.web.parts import guarded
from studio.web.places import short

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_HELP = {
    "model": "storybook comes with the program. Others: a folder, a single file, or an id of the "
    "Hugging Face Hub that this machine has fetched before.",
    "data": "Crops that you made in the first tab, or a folder of pictures.",
    "word": "Any word of your own. In prompts it stands in angle brackets.",
    "num_vectors": "More hold more; 1, 4 learns a word of each.",
    "train.steps": "It ends earlier where it can.",
    "overwrite": "Write the word above as it stands in prompts: doctor. Its pictures then change "
    "wherever a prompt says it.",
    "balance.attribute": "For instance gender, or colour. Empty: nothing is evened out.",
    "balance.values": "With commas: female, male.",
    "balance.wanted": "For instance female: 2, male: 1. Empty: each as often as the others.",
}
_SCROLL = "() => { if (innerWidth < 900) document.getElementById('invert-view').scrollIntoView() }"


@dataclass(frozen=True)
class _Form:
    fields: list[Any]
    """In the order of form.FIELDS."""
    others: Any
    name: Any
    pictures: Any
    begin: Any

    @property
    def inputs(self) -> list[Any]:
        return [*self.fields, self.others, self.name]


def tab(bench: Bench) -> "InvertTab":
    """Build the tab inside the Blocks that is open."""
    run = gr.State("")
    with gr.Row(elem_classes="invert"):
        with gr.Column(scale=4, min_width=300):
            asked = _form(bench)
        with gr.Column(scale=7, min_width=300, elem_id="invert-view"):
            shown = view(bench, run)
    _wire(bench, asked, shown, run)

    def fill(configuration: dict[str, Any]) -> Sequence[Any]:
        section = configuration.get("inversion") or {}
        if set(section) <= {"data"}:  # pictures alone, as the tab Crop hands them on
            return [*form.begin(section.get("data", "")), "", ""]
        if not section.get("data"):  # the crops of its own experiment
            crops = bench.folder(configuration.get("name", ""), "cropping")
            section = section | ({"data": str(short(crops))} if crops.is_dir() else {})
        values, others = form.filled(section)
        return [*values, others, ""]

    return InvertTab("invert", "inversion", asked.inputs, fill, run, shown)


@dataclass(frozen=True)
class InvertTab(Tab):
    """The tab, with what leads on from it."""

    view: View


def onward(bench: Bench, tabs: Any, here: InvertTab, guidance: Tab) -> None:
    """Let the button "See it across the guidance scale" fill the tab Guidance and open it."""

    @guarded
    def leave(name: str, token: str) -> Any:
        filled = here.view.onward(name, token)
        return [gr.Tabs(selected=guidance.id), *guidance.fill(filled)]

    outputs = [tabs, *guidance.inputs]
    inputs = [here.run_state, here.view.which]
    left = here.view.leave.click(leave, inputs, outputs, **QUIET)
    left.then(None, js="() => scrollTo(0, 0)", api_visibility="private")


def _form(bench: Bench) -> _Form:
    """The inputs, the few that matter first."""
    content = dict(zip((field.setting for field in form.FIELDS), form.begin(), strict=True))
    made: dict[str, Any] = {}

    def place(*fields: form.Field) -> None:
        for field in fields:
            made[field.setting] = _input(bench, field, content[field.setting])

    place(*form.FIRST[:2])
    pictures = gr.HTML("", elem_id="invert-pictures", apply_default_css=False, visible=False)
    place(form.FIRST[2])
    with gr.Row():
        place(*form.FIRST[3:])
    begin = gr.Button("Start", variant="primary", elem_id="invert-start")
    with gr.Accordion("Learn anew a word that the model knows", open=False):
        place(*form.EVEN)
    with gr.Accordion("More settings", open=False):
        name = gr.Textbox(
            label="Name of the run",
            info="Its folder in outputs. Empty: that of its crops, or of its word.",
            elem_id="invert-name",
        )
        for title, fields in (
            ("Learning", form.LEARNING),
            ("When it is enough", form.ENOUGH),
            ("Previews", form.LOOKS),
            ("Machine", form.MACHINE),
        ):
            gr.Markdown(f"### {title}")
            place(*fields)
        others = gr.Textbox(
            label="Other settings",
            info="One a line, as behind the terminal's command: train.warmup=10",
            lines=2,
            elem_id="invert-others",
        )
    return _Form([made[field.setting] for field in form.FIELDS], others, name, pictures, begin)


def _input(bench: Bench, field: form.Field, value: form.Value) -> Any:
    about: dict[str, Any] = {"label": field.label, "info": _HELP.get(field.setting, field.help)}
    about |= {"value": value, "min_width": 130, "elem_id": _elem_id(field.setting)}
    if field.setting == "model":
        return gr.Dropdown(model_choices(bench.places), allow_custom_value=True, **about)
    if field.setting == "data":
        about["value"] = None
        return gr.Dropdown(start.data_choices(bench), allow_custom_value=True, **about)
    if field.kind == "tick":
        return gr.Checkbox(**about)
    if field.kind == "choice":
        return gr.Dropdown(list(field.choices), **about)
    if field.setting == "word":
        about["placeholder"] = "patchwork"
    return gr.Textbox(lines=3 if field.kind == "lines" else 1, **about)


def _elem_id(setting: str) -> str:
    return f"invert-{setting.replace('.', '-')}"


def _wire(bench: Bench, asked: _Form, shown: View, run: gr.State) -> None:
    keys = ("model", "data", "word", "overwrite")
    model, data, word, anew = (asked.fields[_at(key)] for key in keys)

    @guarded
    def begin(*values: Any) -> Any:
        *fields, others, name = values
        return start.begin(bench, fields, others or "", name or ""), gr.Timer(active=True)

    @guarded
    def look(folder: str | None) -> Any:
        shown = start.look_at(bench, folder) if folder else ""
        return gr.HTML(shown, visible=bool(shown))

    @guarded
    def restart(*values: Any) -> Any:
        before, after = values, form.started(values)
        return [gr.skip() if a == b else b for a, b in zip(before, after, strict=True)]

    def choices() -> Any:
        return gr.Dropdown(choices=start.data_choices(bench))

    started = asked.begin.click(begin, asked.inputs, [run, shown.timer], **QUIET)
    started.then(None, js=_SCROLL, api_visibility="private")
    data.change(look, data, asked.pictures, **QUIET)
    data.focus(choices, None, data, **QUIET)
    chosen = [model.input, anew.input, word.blur]
    gr.on(chosen, restart, asked.fields, asked.fields, trigger_mode="always_last", **QUIET)


def _at(setting: str) -> int:
    return [field.setting for field in form.FIELDS].index(setting)
