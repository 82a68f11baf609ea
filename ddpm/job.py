"""The ddpm job: pictures -> a diffusion model -> pictures, studies, films, measures, a report."""

from collections.abc import Callable, Iterator

from ddpm.config import Config
from ddpm.stages import Bench
from lab.run import Progress, Run

VERSION = 1  # raised when the same configuration would give another result
Stage = Callable[[Config, Run, Bench], Iterator[Progress]]
STAGES: list[Stage] = []
"""What is done with the model, in this order. Each stage looks at its own section and does nothing
without it, finds what it has done before in the run folder, and names its files with `run.show`.
Only the first process runs the stages."""
MADE = ["*.html", "*.png", "*.json", "samples", "study", "guide", "film", "measure"]
"""What stages leave, to be removed when the configuration has changed; the model stays where its
own part of it has not."""


def run(config: Config, run: Run) -> Iterator[Progress]:
    """Train if wanted, then every stage."""
    yield from ()
    raise RuntimeError(config, run)
