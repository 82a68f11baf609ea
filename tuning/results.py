"""What there is to see of a search: a list of the trials, a plot, a page, the best one's file."""

import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ruamel.yaml import YAML

from lab.images import save_figure
from lab.page import write_page
from lab.run import MANIFEST, METRICS, Run, write_json, write_text
from tuning.config import SECTION, Config
from tuning.plot import parallel_coordinates
from tuning.space import Open, Space, override
from tuning.study import Tried, best_of

TRIALS, LISTING, BEST = "trials", "trials.json", "best.yaml"
PLOT, PAGE = "parallel.png", "report.html"
TEMPLATE = Path(__file__).with_name("report.html")


def folder_of(run: Run, number: int) -> Path:
    """Where a trial's jobs leave their results, each in a folder of its own."""
    return run.folder / TRIALS / f"{number:04d}"


def save(config: Config, run: Run, over: Sequence[Tried], open_with: Open) -> None:
    """Write what is known so far, and remove what is not worth its place on the disk."""
    best = best_of(over, config)
    if best is not None:
        write_text(run.folder / BEST, experiment_text(best, over, config, open_with))
    for trial in over:
        if config.keep == "best" and trial is not best:
            _remove_results(folder_of(run, trial.number))
    write_json(run.folder / LISTING, [asdict(trial) for trial in over])


def draw(config: Config, run: Run, space: Space, over: Sequence[Tried], open_with: Open) -> None:
    """Draw the plot, and the page around it once a trial is complete."""
    best = best_of(over, config)
    figure = parallel_coordinates(over, space, config)
    save_figure(figure, run.folder / PLOT)
    if best is not None:
        text = experiment_text(best, over, config, open_with)
        values = {"config": config, "best": best, "text": text, "figure": figure}
        values |= {"name": run.name, "file": run.folder / BEST, "settings": list(space)}
        write_page(run.folder / PAGE, TEMPLATE, trials=_ranked(over, config), **values)


def _ranked(over: Sequence[Tried], config: Config) -> list[Tried]:
    """Complete trials first, the best one at the top; then those stopped early; then failures."""
    order = ("complete", "pruned", "failed")
    sign = 1 if config.goal == "minimize" else -1
    return sorted(over, key=lambda t: (order.index(t.state), sign * (t.value or 0), t.number))


def experiment_text(best: Tried, over: Sequence[Tried], config: Config, open_with: Open) -> str:
    """The experiment file of a trial: the searched one with its settings, without `tune:`."""
    found = open_with([override(setting, value) for setting, value in best.settings.items()])
    written = {key: value for key, value in found.written.items() if key not in ("name", SECTION)}
    yaml = YAML()
    yaml.width = 90
    text = io.StringIO()
    yaml.dump({"name": f"{found.name}-best", **written}, text)
    return (
        f"# {config.objective} {best.value:.6g}: trial {best.number}, the best of the {len(over)} "
        f"of {found.path.name}.\n# `pseudoword run` does again what that trial did.\n"
        + text.getvalue()
    )


def _remove_results(folder: Path) -> None:
    """Leave of a trial what says how it went: its jobs' manifests and curves."""
    for job in folder.iterdir() if folder.is_dir() else ():
        if job.is_symlink():
            job.unlink()
            continue
        for made in job.iterdir():
            if made.name not in (MANIFEST, METRICS):
                shutil.rmtree(made) if made.is_dir() else made.unlink()


def show(config: Config, run: Run, over: Sequence[Tried]) -> None:
    """Say what was found, and name the files to look at."""
    best = best_of(over, config)
    assert best is not None
    run.manifest |= {"best": asdict(best)}
    counts = {state: sum(t.state == state for t in over) for state in ("pruned", "failed")}
    said = ", ".join(f"{setting} {json.dumps(v)}" for setting, v in best.settings.items())
    run.note(
        f"{config.objective} {best.value:.6g} in trial {best.number} of {len(over)} "
        f"({counts['pruned']} stopped early, {counts['failed']} failed): {said}"
    )
    run.show(PAGE, "every trial, the best one's settings")
    run.show(PLOT, "a line for each trial through its settings; grey: stopped early or failed")
    run.show(BEST, "the best trial's experiment file: `pseudoword run` it")
    run.show(LISTING, "the trials, for other programs")
