"""How long the studio's tab Denoise takes from the press to the first step on the screen, here.

    python benchmarks/denoise_latency.py [--times 7]

Presses the button in chromium (playwright) with the tab's first settings, another seed each time,
once the process that computes is warm. Prints the seconds to the first step that is painted and to
the last one, of each press, their medians, and how busy the machine was.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from studio.web import app
from studio.web.bench import Bench
from studio.web.places import Places
from studio.web.queue import Queue

CHROMIUM = "/usr/bin/chromium"
GRID = "document.querySelector('#denoise-frames [data-part=grid]')"
PORT = 7893


def press(page: Any, seed: int) -> tuple[float, float]:
    """Seconds from the press to the first step that is shown, and to the last one."""
    page.get_by_label("Seed", exact=True).fill(str(seed))
    before = page.evaluate(f"{GRID}.dataset.key || ''")
    other = f"({GRID}.dataset.key || '') !== {json.dumps(before)}"
    began = time.perf_counter()
    page.locator("#denoise-press").click()
    page.wait_for_function(f"{other} && ({GRID}.dataset.shown || '') !== ''")
    first = time.perf_counter() - began
    page.wait_for_function(f"{other} && {GRID}.dataset.shown === '50'", timeout=300_000)
    return first, time.perf_counter() - began


def measure(times: int) -> list[tuple[float, float]]:
    """`times` presses, after one that warms up."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        outputs = Path(folder).resolve()
        places = Places([], outputs)
        queue = Queue(outputs, places)
        queue.start()
        served = app.serve(Bench(outputs, places, queue), PORT)
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(300_000)
        page.goto(app.address(served))
        page.get_by_role("tab", name="Denoise", exact=True).click()
        found = []
        for seed in range(times + 1):
            found.append(press(page, seed))
            first, last = found[-1]
            kind = "" if seed else "warming up: "
            print(f"{kind}first step after {first:.2f} s, last after {last:.2f} s", flush=True)
            while any(standing.status == "running" for standing in queue.all()):
                time.sleep(0.1)
        chromium.close()
        served.close(verbose=False)
        queue.close()
    return found[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=7)
    times = parser.parse_args().times
    busy = os.getloadavg()[0]
    found = measure(times)
    firsts, lasts = zip(*found, strict=True)
    print(f"median of {times}: {statistics.median(firsts):.2f} s, {statistics.median(lasts):.2f} s")
    print(f"load of the {os.cpu_count()} cores, in the minute before and at the end: ", end="")
    print(f"{busy:.1f}, {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
