"""The page: five tabs over one bench, served on this machine and to this machine alone."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import gradio as gr
from gradio.route_utils import CustomCORSMiddleware
from starlette.middleware import Middleware

from lab.errors import UserError
from lab.run import MANIFEST
from studio.web import look
from studio.web.bench import Bench, Tab
from studio.web.crop import page as crop
from studio.web.denoise import page as denoise
from studio.web.gate import Gate
from studio.web.guidance import page as guidance
from studio.web.invert import page as invert
from studio.web.leftovers import remove_leftovers
from studio.web.parts import guarded
from studio.web.places import STUDIO
from studio.web.runs import listing
from studio.web.runs import page as runs

TITLES = {
    "crop": "Crop",
    "invert": "Invert",
    "guidance": "Guidance",
    "denoise": "Denoise",
    "runs": "Runs",
}
_HEAD = "<script>window.studioAsked = window.location.search;</script>"
_PLACE = """
const asked = new URLSearchParams(window.studioAsked);
const runs = {};
let tab = asked.get('tab') || 'crop', ready = false;
if (asked.get('run')) runs[tab] = asked.get('run');
window.studioPlace = (kind, value) => {
  if (kind === 'ready') { ready = true; document.body.dataset.studio = 'ready'; }
  if (kind === 'runs') Object.assign(runs, value);
  if (kind === 'tab' && ready) tab = value;
  const query = new URLSearchParams({tab});
  if (runs[tab]) query.set('run', runs[tab]);
  if (ready) history.replaceState(null, '', '?' + query);
};
watch('value', () => window.studioPlace('runs', JSON.parse(props.value || '{}')));
"""
"""Keeps the address of the window as the page stands."""


def build(bench: Bench) -> gr.Blocks:
    """The page, not served yet."""
    with gr.Blocks(title="pseudoword", analytics_enabled=False) as page:
        gr.HTML(look.HEADER, elem_id="header")
        place = gr.HTML("", elem_id="place", html_template="", js_on_load=_PLACE)
        with gr.Tabs(elem_id="tabs") as chosen:
            with _tab("crop"):
                first = crop.tab(bench)
            with _tab("invert"):
                second = invert.tab(bench)
            with _tab("guidance"):
                third = guidance.tab(bench)
            with _tab("denoise"):
                fourth = denoise.tab(bench)
            made = [first, second, third, fourth]
            with _tab("runs") as last:
                runs.tab(bench, page, last, made, chosen)
        crop.onward(bench, chosen, first, second)
        invert.onward(bench, chosen, second, third)
        _remember(page, bench, place, chosen, made)
    for function in page.fns.values():
        function.api_visibility = "private"  # it is a page, and no interface for programs
    return page


@contextmanager
def _tab(name: str) -> Iterator[gr.Tab]:
    """A tab whose choice is told to the window's address."""
    with gr.Tab(TITLES[name], id=name) as one:
        yield one
    one.select(None, js=f"() => window.studioPlace('tab', '{name}')")


def _remember(
    page: gr.Blocks, bench: Bench, place: gr.HTML, chosen: gr.Tabs, made: list[Tab]
) -> None:
    """Let the address say which tab and which run are shown, so that a reopened page finds them."""
    quiet: Any = {"show_progress": "hidden", "api_visibility": "private"}
    for one in made:
        tell = partial(_told, one.id)
        one.run_state.change(tell, one.run_state, place, **quiet)
    forms = [component for one in made for component in (one.run_state, *one.inputs)]

    @guarded
    def opened(asked: str) -> Any:
        bench.queue.warm()
        query = parse_qs(str(asked)[:2000].removeprefix("?"))
        tab, run = (query.get(key, [""])[0] for key in ("tab", "run"))
        return opened_at(bench, made, tab, run)

    js = "() => [window.studioAsked]"
    done = page.load(opened, place, [chosen, *forms], js=js, **quiet)
    done.then(None, js="() => window.studioPlace('ready')")


def opened_at(bench: Bench, made: list[Tab], tab: str, run: str) -> Any:
    """The values of the page's tabs and forms for an address ?tab=TAB&run=RUN."""
    nothing = [gr.skip()] * sum(1 + len(one.inputs) for one in made)
    if tab not in TITLES:
        return gr.skip()
    jobs = [one.job for one in made if one.id == tab]
    if not run or not jobs:
        return [gr.Tabs(selected=tab), *nothing]
    manifest = listing.read_json(bench.folder(run, jobs[0]) / MANIFEST)
    if bench.queue.of(run, jobs[0]) is None and not manifest:
        raise UserError(f"there is no run {run}")
    if jobs[0] in (manifest.get("configuration") or {}):
        return [gr.Tabs(selected=tab), *runs.filled(made, jobs[0], manifest, run)[1]]
    values = []
    for one in made:  # it waits, and has no folder yet
        values += [run if one.id == tab else gr.skip(), *[gr.skip()] * len(one.inputs)]
    return [gr.Tabs(selected=tab), *values]


def _told(tab: str, run: str) -> str:
    return json.dumps({tab: run})


def serve(bench: Bench, port: int, login: tuple[str, str] | None = None) -> gr.Blocks:
    """Serve the page on 127.0.0.1 and return at once; `close` ends it.

    Raises:
        OSError: when the port is taken.
    """
    remove_leftovers(bench.places, {one.name for one in bench.queue.all() if one.place >= 0})
    os.environ["GRADIO_TEMP_DIR"] = str(bench.outputs / STUDIO / "files")
    page = build(bench)
    page.queue(api_open=False, default_concurrency_limit=8)
    page.launch(
        server_name="127.0.0.1",
        server_port=port,
        share=False,
        inbrowser=False,
        quiet=True,
        prevent_thread_lock=True,
        show_error=False,
        auth=login,
        allowed_paths=[str(root) for root in bench.places.roots],
        theme=look.theme(),
        css=look.css(),
        head=_HEAD,
        ssr_mode=False,
        run_history=False,
        footer_links=[],
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        app_kwargs={"middleware": [Middleware(Gate)]},
    )
    # gradio would answer for other origins before the gate is asked
    kept = [one for one in page.app.user_middleware if one.cls is not CustomCORSMiddleware]
    page.app.user_middleware = kept
    page.app.middleware_stack = page.app.build_middleware_stack()
    return page


def address(page: gr.Blocks) -> str:
    """Where the page is: http://127.0.0.1:7860/."""
    return str(page.local_url)
