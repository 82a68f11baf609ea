"""The tab Guidance: draw a prompt at many scales, and move through them."""

import dataclasses
import html
import json
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import gradio as gr
from pydantic import ValidationError

from cfg.config import Config, Rule
from lab.errors import UserError
from lab.run import MANIFEST
from studio.web.bench import Bench, Tab
from studio.web.guidance.form import (
    FORMATS,
    NAME,
    RULES,
    SAMPLERS,
    Form,
    experiment_of,
    forecast,
    range_of,
    scale_of,
)
from studio.web.guidance.read import between, payload, read_sweep, sweeps
from studio.web.guidance.runs import pace, place_for
from studio.web.guidance.words import Word, find_words, newest
from studio.web.models import model_choices
from studio.web.parts import guarded, standing_view
from studio.web.runs.listing import BETWEEN

HERE = Path(__file__).parent
FIELDS = tuple(field.name for field in dataclasses.fields(Form))
"""The form's inputs, in their order."""
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
OPEN = ("waiting", "running")
ABOUT_RULES = {
    "plain": "plain",
    "rescale": "rescale: contrast as without guidance",
    "apg": "apg: without what only saturates",
    "cfg++": "cfg++: for scales from 0 to 1",
    "zero_star": "zero_star: the unprompted part fitted",
    "threshold": "threshold: outliers pulled in",
}


def tab(bench: Bench) -> Tab:
    """Build the tab inside the Blocks that is open."""
    handlers = Handlers(bench)
    run = gr.State("")
    seen = gr.State("")
    wanted = gr.State([])
    timer, more = gr.Timer(1, active=False), gr.Timer(0.7, active=False)
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            inputs, chips, draw, estimate, opened = _form(bench, handlers)
        with gr.Column(scale=7, min_width=300):
            standing = standing_view(bench, run, "cfg", timer)
            viewer = gr.HTML(
                None,
                html_template=_file("guidance.html"),
                css_template=_file("guidance.css"),
                js_on_load=_file("guidance.js"),
                apply_default_css=False,
                elem_id="guidance-viewer",
            )
    fields = list(inputs.values())
    gr.on([each.change for each in fields], handlers.estimate, fields, estimate, **QUIET)
    drawn = [run, timer, opened, estimate]
    draw.click(handlers.draw, fields, drawn, **QUIET).then(
        handlers.look, [run, seen], [viewer, seen], **QUIET
    )
    opened.input(lambda name: name or "", opened, run, **QUIET)
    gr.on([inputs["prompt"].focus, run.change], handlers.tokens, None, chips, **QUIET)
    words = inputs["words"]
    words.focus(handlers.files, words, words, **QUIET)
    opened.focus(handlers.choices, opened, opened, **QUIET)
    run.change(handlers.look, [run, seen], [viewer, seen], **QUIET)
    run.change(lambda: [], None, wanted, **QUIET)
    run.change(handlers.choices, run, opened, **QUIET)
    # once more when the work has ended, since its end switches the timer off
    last = standing.outputs[-1]
    gr.on([timer.tick, last.change], handlers.look, [run, seen], [viewer, seen], **QUIET)
    rested = {"fn": handlers.rest, "inputs": [run, wanted], "outputs": [wanted, more], **QUIET}
    viewer.rest(**rested)
    more.tick(handlers.more, [run, wanted], [wanted, more], **QUIET).then(
        handlers.look, [run, seen], [viewer, seen], **QUIET
    )
    viewer.film(handlers.film, run, timer, **QUIET)
    return Tab("guidance", "cfg", fields, fill, run)


class Handlers:
    """What the tab's events do."""

    def __init__(self, bench: Bench):
        self._bench = bench
        self._looked, self._found = -10.0, []
        self.draw = guarded(self._draw)
        self.rest = guarded(self._rest)
        self.more = guarded(lambda name, wanted: self._more(name, wanted))
        self.film = guarded(self._film)
        self.look = guarded(self._look)

    def estimate(self, *values: Any) -> str:
        """How much the form asks for; what is wrong with it is said when it is sent."""
        try:
            section = self._section(values)
        except UserError:
            return ""
        return f"<p>{forecast(section, self._pace(section.get('model', 'storybook')))}</p>"

    def _pace(self, model: str) -> float | None:
        return pace(self._bench.outputs, model)

    def choices(self, chosen: str | None) -> Any:
        """The runs that can be opened."""
        there = sweeps(self._bench.outputs)
        listed = [chosen, *there] if chosen and chosen not in there else there
        return gr.Dropdown(choices=listed, value=chosen or None)

    def _words(self) -> list[Word]:
        """The words there are, looked for anew after some seconds."""
        if time.monotonic() > self._looked + 3:
            self._looked, self._found = time.monotonic(), find_words(self._bench.places)
        return self._found

    def tokens(self) -> list[str]:
        """What the words are called, for the buttons below the prompt."""
        return list(newest(self._words()))

    def files(self, chosen: list[str] | None) -> Any:
        """The files that words can be chosen from."""
        return gr.Dropdown(choices=_files(self._words()), value=chosen or [])

    def _section(self, values: tuple[Any, ...]) -> dict[str, Any]:
        form = Form(**dict(zip(FIELDS, values, strict=True)))
        section = experiment_of(form, self._words(), self._pace)
        if "model" in section:
            section["model"] = self._bench.places.model(section["model"])
        for path in section.get("words", ()):
            self._bench.places.inside(path)
        return section

    def _draw(self, *values: Any) -> Any:
        section = self._section(values)
        wished = values[FIELDS.index("name")]
        wished = self._bench.places.name(wished.strip()) if wished else ""
        name, section = place_for(self._bench.outputs, wished, section, self._is_taken)
        said = forecast(section, self._pace(section.get("model", "storybook")))
        prompt = section["prompt"] if isinstance(section["prompt"], str) else section["prompt"][0]
        self._bench.queue.submit({"name": name, "cfg": section}, f"{prompt}: {said}")
        return (
            name,
            gr.Timer(active=True),
            self.choices(name),
            f"<p>{said}</p>",
        )

    def _is_taken(self, name: str) -> bool:
        """Whether a run that has no folder yet waits in the queue under this name."""
        return self._is_open(name)

    def _is_open(self, name: str) -> bool:
        standing = self._bench.queue.of(name, "cfg")
        return standing is not None and standing.status in OPEN

    def _look(self, name: str, seen: str) -> Any:
        """The run as it is now, if anything of it is new."""
        if not name:
            return (None, "") if seen else gr.skip()
        folder = self._bench.folder(name, "cfg")
        if not folder.exists():
            return None, name
        self._bench.places.inside(str(folder))
        shown = payload(read_sweep(self._bench.outputs, name))
        shown["working"] = self._is_open(name)
        shown["filling"] = self._is_open(f"{name}{BETWEEN}")
        now = f"{name} {hash(json.dumps(shown, sort_keys=True))}"
        return gr.skip() if now == seen else (shown, now)

    def _rest(self, name: str, wanted: list[str], event: gr.EventData) -> Any:
        """Somebody looks at a scale that is not drawn: it is drawn next."""
        scale = scale_of(getattr(event, "scale", None))
        if not name or getattr(event, "name", name) != name:
            return gr.skip()
        return self._more(name, [*wanted, str(scale)], fresh=True)

    def _more(self, name: str, wanted: list[str], fresh: bool = False) -> Any:
        """Queue the scales that are wanted, as soon as those before them are drawn; what was tried
        is tried again only where somebody asks for it, `fresh`."""
        if not name or self._is_open(name):
            return [], gr.Timer(active=False)
        if self._is_open(f"{name}{BETWEEN}"):
            return wanted, gr.Timer(active=True)
        shown = read_sweep(self._bench.outputs, name)
        drawn = [{shown.scales[k] for k in (*s.drawn, *s.between)} for s in shown.strips]
        there = set.intersection(*drawn) if drawn else set()
        still = [Decimal(w) for w in wanted if Decimal(w) in set(shown.scales) - there]
        what = f"{name} at {', '.join(map(str, still))}"
        tried = None if fresh else self._bench.queue.of(f"{name}{BETWEEN}", "cfg")
        if tried is not None and tried.what == what and tried.sentence:
            gr.Warning(html.escape(tried.sentence), title="")
        if not still or (tried is not None and tried.what == what):
            return [], gr.Timer(active=False)
        try:
            experiment = between(self._bench.outputs, name, still)
        except LookupError:
            raise UserError(
                f"{name} has pictures but not the settings they were drawn with, so none between "
                "them can be drawn"
            ) from None
        self._bench.queue.submit(experiment, what, front=True)
        return wanted, gr.Timer(active=True)

    def _film(self, name: str, event: gr.EventData) -> Any:
        """Make the film in another format, too; the pictures are there already."""
        wished = getattr(event, "format", None)
        if wished not in FORMATS:
            raise UserError(f"a film is made as {', '.join(FORMATS)}")
        told = _told(self._bench.folder(name, "cfg"))
        if told is None:
            raise UserError(f"{name} does not say what it was drawn with; draw it again")
        video = told.get("video", {})
        before = video.get("format", "mp4")
        formats = [before] if isinstance(before, str) else list(before)
        section = told | {"video": {**video, "format": list(dict.fromkeys([*formats, wished]))}}
        self._bench.queue.submit({"name": name, "cfg": section}, f"{name}: the film as {wished}")
        return gr.Timer(active=True)


def fill(configuration: dict[str, Any]) -> list[Any]:
    """The form's values of a configuration, as manifest.json has it.

    Raises:
        UserError: it has no section `cfg:` that can be read.
    """
    try:
        said = json.dumps(configuration.get("cfg"))
        config = Config.model_validate_json(said)
    except (ValidationError, TypeError):
        raise UserError("this run's settings cannot be read; draw it again by hand") from None
    first, last, step, adaptive = range_of(config.guidance_scales)
    rules = [rule.name for rule in config.rules]
    phis = [rule.phi for rule in config.rules if rule.name == "rescale"]
    form = Form(
        prompt="\n".join(config.prompts),
        negative_prompt=config.negative_prompt,
        seeds=", ".join(map(str, config.seeds)),
        rules=list(dict.fromkeys(rules)),
        first=first,
        last=last,
        step=step,
        adaptive=adaptive,
        name=configuration.get("name", ""),
        model=config.model,
        steps=config.step_counts[0],
        scheduler=config.scheduler,
        width=config.width,
        height=config.height,
        phi=phis[0] if phis else Rule().phi,
        batch_size=0 if config.batch_size == "auto" else config.batch_size,
        prompt_weights=config.prompt_weights,
        words=list(config.words) if NAME in "".join(config.prompts) else [],
        fps=config.video.fps,
        film=list(config.video.formats),
    )
    values = [getattr(form, name) for name in FIELDS]
    if form.words:
        choices = [(Path(path).stem, path) for path in form.words]
        values[FIELDS.index("words")] = gr.Dropdown(choices=choices, value=form.words)
    return values


def _told(folder: Path) -> dict[str, Any] | None:
    try:
        said = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        told = said["configuration"]["cfg"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return dict(told) if isinstance(told, Mapping) else None


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _form(
    bench: Bench, handlers: Handlers
) -> tuple[dict[str, Any], gr.HTML, gr.Button, gr.HTML, gr.Dropdown]:
    """The form: its inputs by the names of FIELDS, the words' buttons, the button that draws, the
    estimate, the run to open."""
    usual = Form()
    made: dict[str, Any] = {}
    made["prompt"] = gr.Textbox(
        label="Prompt",
        lines=2,
        placeholder="a house with mountains in the background",
        elem_id="guidance-prompt",
    )
    chips = gr.HTML(
        handlers.tokens,  # a function: asked again whenever the page is opened
        html_template='<div class="chips" role="group" aria-label="Learned words"></div>',
        css_template=_file("chips.css"),
        js_on_load=_file("chips.js"),
        apply_default_css=False,
        elem_classes="guidance-chips",
    )
    made["negative_prompt"] = gr.Textbox(label="Away from", placeholder="blurry, text", lines=1)
    made["seeds"] = gr.Textbox(
        usual.seeds, label="Seeds", info="One, or several: 1, 2, 5 or 1-4", lines=1
    )
    made["rules"] = gr.Dropdown(
        [(ABOUT_RULES[rule], rule) for rule in RULES],
        value=list(usual.rules),
        multiselect=True,
        label="Rules",
        info="Of guidance; several are drawn beside each other",
    )
    with gr.Row():
        made["first"] = gr.Number(usual.first, label="Scale from", min_width=70)
        made["last"] = gr.Number(usual.last, label="to", min_width=70)
        made["step"] = gr.Number(usual.step, label="every", min_width=70)
    made["adaptive"] = gr.Checkbox(
        usual.adaptive,
        label="Only where pictures change",
        info="Fewer pictures, and no visible change missed",
    )
    draw = gr.Button("Draw the scales", variant="primary", elem_id="guidance-draw")
    estimate = gr.HTML("", elem_classes="guidance-estimate")
    with gr.Accordion("More settings", open=False):
        _more_settings(bench, made)
    opened = gr.Dropdown(
        sweeps(bench.outputs), value=None, label="Open a run", elem_id="guidance-open"
    )
    return {name: made[name] for name in FIELDS}, chips, draw, estimate, opened


def _files(words: list[Word]) -> list[tuple[str, str]]:
    return [(f"{word.token} ({word.owner})", str(word.path)) for word in words]


def _more_settings(bench: Bench, made: dict[str, Any]) -> None:
    usual = Form()
    made["name"] = gr.Textbox(label="Name", placeholder="from the prompt", lines=1)
    made["phi"] = gr.Slider(0, 1, usual.phi, step=0.05, label="How much rescale rescales")
    made["words"] = gr.Dropdown(
        [],
        value=[],
        multiselect=True,
        allow_custom_value=True,
        label="Words that [name] stands for",
    )
    made["model"] = gr.Dropdown(
        model_choices(bench.places), value=usual.model, allow_custom_value=True, label="Model",
        info="Or the path of a folder or of a single file",
    )  # fmt: skip
    with gr.Row():
        made["steps"] = gr.Number(usual.steps, label="Steps", precision=0, min_width=90)
        made["scheduler"] = gr.Dropdown(
            list(SAMPLERS), value=usual.scheduler, label="Sampler", min_width=110
        )
    with gr.Row():
        made["width"] = gr.Number(
            usual.width, label="Width", info="0: the model's own", precision=0, min_width=90
        )
        made["height"] = gr.Number(
            usual.height, label="Height", info="0: the model's own", precision=0, min_width=90
        )
    with gr.Row():
        made["batch_size"] = gr.Number(
            usual.batch_size, label="Batch size", info="0: what is fastest", precision=0,
            min_width=110,
        )  # fmt: skip
        made["fps"] = gr.Number(usual.fps, label="Frames a second", min_width=110)
    made["film"] = gr.CheckboxGroup(list(FORMATS), value=list(usual.film), label="Film as")
    made["prompt_weights"] = gr.Checkbox(
        usual.prompt_weights, label="Brackets weigh, as in AUTOMATIC1111"
    )
