"""The tab Denoise: pictures come out of the noise, led by a colour and a text, step by step."""

import html
from collections.abc import Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import gradio as gr

from storybook.families import FAMILIES
from studio.web.bench import Bench, Tab
from studio.web.denoise.form import (
    SAMPLERS,
    WEIGHTS,
    Form,
    Training,
    experiment_of,
    fill,
    models_of,
    training_of,
    what_of,
)
from studio.web.denoise.read import EMPTY, Denoised, frames_value, read_denoised
from studio.web.frames import address, frames_view
from studio.web.parts import guarded, standing_view
from studio.web.tickets import OPEN

JOB = "ddpm"
_HERE = Path(__file__).parent
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def tab(bench: Bench) -> Tab:
    """Build the tab inside the Blocks that is open."""
    run, timer = gr.State(""), gr.Timer(0.4, active=False)
    seen = gr.State(())
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            inputs = _inputs(bench)
            press = gr.Button("Denoise", variant="primary", size="lg", elem_id="denoise-press")
            more = _more()
            _training(bench, inputs[0])
        with gr.Column(scale=3, min_width=320):
            standing = standing_view(bench, run, JOB, timer)
            frames = frames_view(EMPTY, elem_id="denoise-frames")
            saved = gr.HTML(
                "",
                css_template=(_HERE / "denoise.css").read_text(encoding="utf-8"),
                js_on_load=(_HERE / "save.js").read_text(encoding="utf-8"),
                apply_default_css=False,
            )
    inputs += more

    @guarded
    def start(*values: Any) -> Any:
        experiment = experiment_of(Form(*values), bench.places)
        name = experiment["name"]
        latest = bench.queue.of(name, JOB)
        if latest is None or latest.status not in OPEN:  # else it is on its way already
            bench.queue.submit(experiment, what_of(experiment), front=True)
        return name, gr.Timer(active=True)

    @guarded
    def look(name: str, before: Sequence[Any]) -> Any:
        if not name:
            return gr.skip()
        denoised = read_denoised(name, bench.folder(name, JOB))
        latest = bench.queue.of(name, JOB)
        live = latest is not None and latest.status in OPEN
        now = (denoised.key, len(denoised.frames), live, len(denoised.films))
        if now == tuple(before):
            return gr.skip()
        return frames_value(denoised, live), saved_html(denoised), now

    gr.on([press.click, inputs[_at("text")].submit, inputs[_at("seed")].submit], start, inputs,
          [run, timer], **_QUIET)  # fmt: skip
    news = [timer.tick, run.change, standing.outputs[-1].change]
    gr.on(news, look, [run, seen], [frames, saved, seen], **_QUIET)
    return Tab("denoise", JOB, inputs, lambda told: filled(bench, told), run)


def filled(bench: Bench, told: dict[str, Any]) -> tuple[Any, ...]:
    """The form for a configuration. A model that is not among those to choose from is written
    below them."""
    form = fill(told, bench.outputs)
    known = models_of(bench.outputs)
    if form.model not in {name for _, name in known}:
        form = replace(form, model=Form().model, folder=form.model)
    return gr.Dropdown(known, value=form.model), *astuple(form)[1:]


def _at(field: str) -> int:
    return list(Form.__dataclass_fields__).index(field)


def _inputs(bench: Bench) -> list[Any]:
    """What everybody sets, in the order of Form."""
    first = Form()
    model = gr.Dropdown(
        models_of(bench.outputs),
        value=first.model,
        label="Model",
        filterable=False,
    )
    with gr.Group():
        colour = gr.ColorPicker(value=first.colour, label="Colour")
        pull = gr.Slider(0, 0.4, first.colour_strength, step=0.01, label="Strength of the colour")
    with gr.Group():
        text = gr.Textbox(first.text, label="Text", placeholder="a red flower", max_lines=1)
        push = gr.Slider(0, 1, first.text_strength, step=0.02, label="Strength of the text")
    with gr.Row():
        seed = gr.Textbox(first.seed, label="Seed", max_lines=1, min_width=80)
        pictures = gr.Number(first.pictures, label="Pictures", min_width=80)
        steps = gr.Number(first.steps, label="Steps", min_width=80)
    known = {"fn": lambda: gr.Dropdown(choices=models_of(bench.outputs)), "outputs": model}
    gr.on(None, **known, **_QUIET)
    model.focus(**known, **_QUIET)
    return [model, colour, pull, text, push, seed, pictures, steps]


def _more() -> list[Any]:
    first = Form()
    with gr.Accordion("More settings", open=False):
        sampler = gr.Dropdown(_choices(SAMPLERS), value=first.sampler, label="Sampler")
        weight = gr.Dropdown(_choices(WEIGHTS), value=first.weight, label="Colour and text lead")
        clip = gr.Textbox(
            first.clip,
            label="CLIP that reads the text",
            info="drawn knows the words of the drawn pictures; or the folder of a CLIP.",
            max_lines=1,
        )
        folder = gr.Textbox(
            first.folder,
            label="Another model",
            info="The folder of a DDPMPipeline, in place of the model above.",
            max_lines=1,
        )
    return [sampler, weight, clip, folder]


def _training(bench: Bench, model: gr.Dropdown) -> None:
    """Train a model of one's own, which can be chosen afterwards."""
    run, timer = gr.State(""), gr.Timer(1, active=False)
    first = Training()
    with gr.Accordion("Train a model", open=False):
        gr.Markdown("It goes on from the bundled one, and takes minutes.")
        family = gr.Dropdown(list(FAMILIES), value=first.family, label="Drawn pictures of")
        folder = gr.Textbox(
            label="Or a folder of pictures", placeholder="datasets/...", max_lines=1
        )
        steps = gr.Number(first.steps, label="Steps of the training", step=100)
        press = gr.Button("Train")
        standing = standing_view(bench, run, JOB, timer, "training")

    @guarded
    def start(*values: Any) -> Any:
        experiment = training_of(Training(*values), bench.places)
        source = experiment[JOB]["data"]["source"]
        bench.queue.submit(experiment, f"train a model on {source}")
        return experiment["name"], gr.Timer(active=True)

    press.click(start, [family, folder, steps], [run, timer], **_QUIET)
    ended = standing.outputs[-1].change
    gr.on([ended], lambda: gr.Dropdown(choices=models_of(bench.outputs)), None, model, **_QUIET)


def _choices(labels: dict[str, str]) -> list[tuple[str, str]]:
    return [(label, name) for name, label in labels.items()]


def saved_html(denoised: Denoised) -> str:
    """Links that save the films and the pictures; of what is not finished, nothing."""
    if not denoised.films:
        return ""
    parts = ['<div class="saved"><h4>Save</h4>']
    for path in denoised.films:
        led = path.parent.name != "unguided"
        label = path.suffix.lstrip(".").upper()
        label += (", led" if led else ", not led") if denoised.led_by else ""
        name = f"{denoised.name}{'' if led else '-not-led'}{path.suffix}"
        parts.append(f'<a class="file" {_link(path, name)}>{html.escape(label)}</a>')
    for reel in dict.fromkeys(path.parent for path in denoised.pictures):
        led = reel.parent.name != "unguided"
        title = "Pictures" + ((", led" if led else ", not led") if denoised.led_by else "")
        parts.append(f"<h4>{title}</h4>")
        for path in (path for path in denoised.pictures if path.parent == reel):
            name = f"{denoised.name}-{path.stem}{'' if led else '-not-led'}.png"
            alt = f"Save the picture of seed {path.stem}"
            parts.append(
                f'<a class="picture" {_link(path, name)}>'
                f'<img src="{html.escape(address(path))}" alt="{html.escape(alt)}"></a>'
            )
    return "".join([*parts, "</div>"])


def _link(path: Path, name: str) -> str:
    return f'href="{html.escape(address(path))}" download="{html.escape(name)}"'
