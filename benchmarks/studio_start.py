"""How long `pseudoword studio` takes from the command to the first page, here.

    python benchmarks/studio_start.py [--times 5]

Prints the seconds of each start, their median, and the processor time of the server by then. The
page is asked for over HTTP as soon as the address is printed; a browser's own time is not in it.
"""

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CALL = "import sys; from studio.cli import main; sys.exit(main(sys.argv[1:]))"


def start_once(folder: str) -> tuple[float, float]:
    """(seconds from the command to the whole first page, the server's processor seconds)."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", CALL, "studio", "--no-browser", "--port", port],
        cwd=folder, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        line = process.stdout.readline() if process.stdout else ""
        with urllib.request.urlopen(re.findall(r"http\S+", line)[0]) as page:
            assert b"gradio_config" in page.read()
        seconds = time.perf_counter() - began
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        process.terminate()
    return seconds, sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        found = [start_once(folder) for _ in range(times)]
    for seconds, processor in found:
        print(f"{seconds:.2f} s, {processor:.2f} s of a processor")
    middle = statistics.median(seconds for seconds, _ in found)
    processor = statistics.median(cost for _, cost in found)
    print(f"median of {times}: {middle:.2f} s, {processor:.2f} s of a processor")


if __name__ == "__main__":
    main()
