"""The page: five tabs over one bench, served on this machine and to this machine alone."""

import os

import gradio as gr
from gradio.route_utils import CustomCORSMiddleware
from starlette.middleware import Middleware

from studio.web import crop, denoise, guidance, invert, look, runs
from studio.web.bench import Bench, Tab
from studio.web.gate import Gate
from studio.web.places import STUDIO

TITLES = {
    "crop": "Crop",
    "invert": "Invert",
    "guidance": "Guidance",
    "denoise": "Denoise",
    "runs": "Runs",
}
_MAKERS = {
    "crop": crop.tab,
    "invert": invert.tab,
    "guidance": guidance.tab,
    "denoise": denoise.tab,
}


def build(bench: Bench) -> gr.Blocks:
    """The page, not served yet."""
    with gr.Blocks(title="pseudoword", analytics_enabled=False) as page:
        gr.HTML("<header><h1>pseudoword</h1></header>")
        with gr.Tabs(elem_id="tabs"):
            made: dict[str, Tab] = {}
            for name, maker in _MAKERS.items():
                with gr.Tab(TITLES[name], id=name):
                    made[name] = maker(bench)
            with gr.Tab(TITLES["runs"], id="runs"):
                runs.tab(bench)
        page.load(lambda: bench.queue.warm(), api_visibility="private")
    return page


def serve(bench: Bench, port: int, login: tuple[str, str] | None = None) -> gr.Blocks:
    """Serve the page on 127.0.0.1 and return at once; `close` ends it.

    Raises:
        OSError: when the port is taken.
    """
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
