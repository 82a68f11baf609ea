"""What is made of a sweep's pictures: measures, films, the contact sheet, curves, the report."""

from collections.abc import Generator, Iterator
from typing import Any

from cfg import overview
from cfg.analysis import (
    Group,
    Measured,
    diversity_over_seeds,
    grouped,
    mean_over_seeds,
    measure,
    metrics_of,
    settled_over_seeds,
)
from cfg.cells import Sweep
from cfg.comparison import compare, rivals
from cfg.config import Config
from cfg.film import needs_measures
from cfg.filming import Filming, films_of
from cfg.judge import load_judge
from cfg.report import write_report
from lab.run import Progress, Run, write_json

SHEET, CURVE, REPORT = "contact-sheet.png", "curve.png", "report.html"
MADE = ("guidance.*", "films", SHEET, CURVE, "analysis.json", REPORT)
"""What `show` makes in the run folder, beside metrics.jsonl."""


def show(config: Config, run: Run, sweep: Sweep) -> Iterator[Progress]:
    """Measure the frames, which are all there, and make everything of `MADE` from them.

    Films are made beside the rest: those that need no measures from the start on.
    """
    manifest = f"{run.name}/{run.job}/manifest.json, key {run.read_manifest().get('key')}"
    films = list(films_of(sweep, config.video, run.folder))
    with Filming(sweep, config.video, manifest) as filming:
        for lines, path in films:
            if not needs_measures(lines, config.video):
                filming.begin(lines, path)
        judge = load_judge(config.analysis, config)
        measured = []
        for k, line in enumerate(sweep.lines):
            yield Progress("measuring", k, len(sweep.lines))
            measured.append(measure(sweep, line, judge))
        yield Progress("measuring", len(sweep.lines), len(sweep.lines))
        of_line = {one.line: one for one in measured}
        for lines, path in films:
            if needs_measures(lines, config.video):
                filming.begin(lines, path, [of_line[line] for line in lines])
        groups = yield from _write(config, run, sweep, measured, judge.names)
        yield from filming.finish()
    run.show(run.folder / REPORT, "everything on one page: open it in a browser")
    for _, film in films[: len(config.video.formats)]:
        run.show(film, f"the film: {len(sweep.scales)} frames, {config.video.fps:g} a second")
    run.show(run.folder / SHEET, "a selection of the scales, labelled")
    run.show(run.folder / CURVE, "how fast the pictures change, over the scale")
    for sentence in said(groups):
        run.note(sentence)


def _write(
    config: Config, run: Run, sweep: Sweep, measured: list[Measured], judges: dict[str, str]
) -> Generator[Progress, None, tuple[Group, ...]]:
    """Everything but the films."""
    run.keep_metrics(lambda entry: False)
    for k, one in enumerate(measured):
        for entry in metrics_of(one, k):
            run.metric(**entry)
    groups = grouped(measured, config.analysis)
    write_json(run.folder / "analysis.json", summary(groups, judges))
    overview.save_contact_sheet(sweep, measured, config, run.folder / SHEET)
    overview.save_curve(groups, run.folder / CURVE)
    yield Progress("writing the report", 0, 1)
    write_report(run.folder / REPORT, config, sweep, groups, judges)
    yield Progress("writing the report", 1, 1)
    return groups


def said(groups: tuple[Group, ...]) -> list[str]:
    """What was found, in sentences; what one seed shows is said to be one seed's."""
    sentences = []
    for group in groups:
        name = f"{group.line.prompt!r} ({group.line.rule})"
        if len(group.lines) < 3:
            for one, own in zip(group.lines, group.own, strict=True):
                places = ", ".join(f"{t.at:.2f}" for t in own) or "none"
                sentences.append(f"{name}, seed {one.line.seed} alone: transitions at {places}")
            continue
        sure = [s for s in group.shared if s.support >= 0.95]
        places = ", ".join(
            f"{s.transition.at:.2f} ({s.interval[0]:.2f} to {s.interval[1]:.2f})" for s in sure
        )
        found = places or "none"
        sentences.append(f"{name}: transitions shared by {len(group.lines)} seeds: {found}")
        if settled := settled_over_seeds(group):
            scale, (low, high) = settled
            sentences.append(f"{name}: settled from {scale:.1f} ({low:.1f} to {high:.1f}) on")
    return sentences[:12]


def summary(groups: tuple[Group, ...], names: dict[str, str]) -> dict[str, Any]:
    """What analysis.json says."""
    return {
        "judges": names,
        "groups": [_summary(group) for group in groups],
        "rules_at_equal_match": [
            [[at.__dict__ | {"rule": str(at.rule)} for at in level] for level in compare(some)]
            for some in rivals(groups)
        ],
    }


def _summary(group: Group) -> dict[str, Any]:
    settled = settled_over_seeds(group)
    curves = {
        name: mean_over_seeds(group, name)
        for name in ("match", "recognised", "saturation", "contrast", "clipped", "sharpness")
    }
    varies = diversity_over_seeds(group)
    return {
        **{k: v for k, v in group.line.about().items() if k != "seed"},
        "seeds": [one.line.seed for one in group.lines],
        "transitions_of_each_seed": [[t.__dict__ for t in own] for own in group.own],
        "shared_transitions": [
            {
                **s.transition.__dict__,
                "interval": s.interval,
                "support": s.support,
                "seeds_with_their_own": s.seeds,
            }
            for s in group.shared
        ],
        "settled_of_each_seed": group.settled,
        "settled": None if settled is None else {"scale": settled[0], "interval": settled[1]},
        "means": {name: curve for name, curve in curves.items() if curve is not None},
        "diversity": varies,
    }
