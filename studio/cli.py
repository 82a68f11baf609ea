"""The terminal program: `pseudoword run FILE`, one command for each job, and `explain`.

Starts fast: a job's code, and with it torch, is imported only once the whole file is valid.
"""

import argparse
import errno
import importlib
import importlib.metadata
import os
import shlex
import signal
import sys
import time
import types
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from lab.config import Experiment, Section, explain, load_experiment
from lab.errors import UserError
from lab.run import Progress, Run, process_count, process_index
from lab.wording import first_sentence, suggest
from studio import embedding
from studio.progress import Bars, spoken
from studio.web import command as studio

JOBS: dict[str, str] = {
    "cropping": "cropping",
    "inversion": "inversion",
    "cfg": "cfg",
    "sample": "sampling",
    "skew": "skew",
    "ddpm": "ddpm",
    "tune": "tuning",
}
"""Section of an experiment file -> the package that does it, in running order.

A package has `config.Config`, the section's model, and `job.run(config, run)`, a generator of
Progress.
"""
SEARCH = "tune"
"""The job of jobs: its `run` takes the whole experiment and the other jobs besides. Where a file
has its section, `run` means the search."""

_ABOUT = {
    "run": "run every section of an experiment file, one after another",
    "cropping": "cut square training pictures with captions out of a folder of pictures",
    "inversion": "learn a new word for what those pictures have in common",
    "cfg": "draw one prompt at many guidance scales, and film it",
    "sample": "draw prompts with every learned word, from equal noise, side by side",
    "skew": "measure how unevenly a word takes its values, before and after it was learned anew",
    "tune": "search for the settings of the jobs that do best, and keep the best trial's file",
    "ddpm": "train an unconditional diffusion model, draw with it, study and measure it",
    "explain": "say what can be set in an experiment file, and what it means",
}
_EXAMPLES = """\
examples:
  pseudoword run experiments/storybook.yaml
      crop, learn a word, sweep the guidance scale: works offline, in minutes
  pseudoword run experiments/peter-rabbit.yaml cropping.source=my/pictures
      the same file with one setting changed; any number of key=value may follow
  pseudoword cfg experiments/storybook.yaml 'cfg.guidance_scales={from: 0, to: 20, step: 0.5}'
      one job alone; quote what the shell would take apart
  pseudoword explain cfg.guidance_scales
      what a setting means
  pseudoword tune experiments/search.yaml
      run the file's jobs again and again with the settings varied as its section `tune:` says;
      `pseudoword explain tune` has the ranges, the pruning, the search on many machines
  pseudoword studio
      all of it as a page in the browser, on this machine only
  pseudoword embedding inspect downloads/*.pt
      what an embedding is, which models it fits, what is wrong with it; `embedding convert` writes
      it for another program

Results go to outputs/NAME/JOB/, NAME being the file's `name:` or its stem. The same command again
continues where it was stopped, and does nothing where everything is done.
"""
_RUN_EPILOG = """\
FILE is an experiment file (see experiments/). After it, section.setting=value changes a setting for
this time; the value is YAML: cfg.seed=7  cfg.guidance_scales=[0,1,7.5]  cfg.guidance_scales.to=20
`pseudoword explain {section}` lists the settings.
"""
ENVIRONMENT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def main(argv: Sequence[str] | None = None, jobs: Mapping[str, str] = JOBS) -> int:
    """Run the program and return its exit code: 0, 2 for the user's mistakes, 130 when stopped."""
    argv = list(sys.argv[1:] if argv is None else argv)
    arguments = _parse(argv, jobs)
    quieten()
    share_the_machine()
    try:
        if arguments.command == "explain":
            print(_explain(arguments.setting, jobs), end="")
            return 0
        if arguments.command == "embedding":
            return embedding.run(arguments)
        if arguments.command == "studio":
            studio.run(arguments)
            return 0
        with _terminable():
            try:
                _run(arguments, argv, jobs)
            finally:
                if process_count() > 1:
                    _leave()
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `pseudoword explain | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in ENVIRONMENT_ERRORS:
            raise
        place = error.filename or getattr(arguments, "outputs", "")
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "; make room, and the same command continues" if full else ""
        print(f"error: {error.strerror}: {place}{remedy}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command continues", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that guesses at a mistyped command."""

    def error(self, message: str):
        if "invalid choice" in message and self._subparsers is not None:
            commands = list(self._subparsers._group_actions[0].choices or ())
            word = message.partition("invalid choice: ")[2].split(" ")[0].strip("'")
            close = suggest(word, commands)
            hint = f"did you mean {close}?" if close else f"there are {', '.join(commands)}"
            message = f"{word} is not a command; {hint}"
        print(f"error: {message}", file=sys.stderr)
        print(f"help:  {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def _parse(argv: list[str], jobs: Mapping[str, str]) -> argparse.Namespace:
    keep = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="pseudoword",
        description="Illustrations in, a learned word and a film of classifier-free guidance out.",
        epilog=_EXAMPLES,
        formatter_class=keep,
    )
    parser.add_argument("--version", action="version", version=f"pseudoword {_version()}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=_Parser, title="commands"
    )
    for command in ("run", *jobs):
        about = _ABOUT.get(command, f"run the section `{command}:` of an experiment file")
        section = "SECTION" if command == "run" else command
        added = commands.add_parser(
            command,
            help=about,
            description=about[0].upper() + about[1:] + ".",
            epilog=_RUN_EPILOG.format(section=section),
            formatter_class=keep,
        )
        added.add_argument("file", metavar="FILE", help="the experiment file")
        added.add_argument(
            "overrides",
            metavar="key=value",
            nargs="*",
            default=[],  # else argparse says that one is required
            help="a setting to change, such as cfg.seed=7",
        )
        added.add_argument(
            "--outputs",
            metavar="DIR",
            default="outputs",
            help="where results go (default: %(default)s)",
        )
        added.add_argument(
            "--dry-run",
            action="store_true",
            help="say how much there is to compute and how long it takes here; write nothing",
        )
    embedding.add_parsers(commands, _Parser)
    studio.add_parser(commands)
    about = _ABOUT["explain"]
    explaining = commands.add_parser(
        "explain", help=about, description=about[0].upper() + about[1:] + "."
    )
    explaining.add_argument(
        "setting",
        metavar="SECTION[.setting]",
        nargs="?",
        help="what to explain, such as cfg or cfg.video.fps; without it, the sections",
    )
    arguments, extra = parser.parse_known_args(argv)
    for word in extra:  # key=value that stands after an option
        if word.startswith("-") or arguments.command in ("explain", "embedding", "studio"):
            parser.error(f"{word} is not understood here")
        arguments.overrides.append(word)
    return arguments


def _version() -> str:
    try:
        return importlib.metadata.version("pseudoword")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def quieten() -> None:
    """Switch off what other packages say to their own developers. Environment settings win."""
    for name, value in {
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "DIFFUSERS_VERBOSITY": "error",
    }.items():
        os.environ.setdefault(name, value)
    if not sys.warnoptions:
        for category in (DeprecationWarning, FutureWarning, UserWarning):
            warnings.simplefilter("ignore", category)


def share_the_machine() -> None:
    """Let torch's threads sleep, not spin, while they wait for each other.

    Where another program holds a core, spinning threads wait for one that does not run: on two
    busy cores a call of storybook's U-Net took 6.8 s instead of 0.24. OpenMP reads it when torch is
    imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _leave() -> None:
    from lab.processes import leave  # and with it torch, which such a process has imported already

    leave()


class _terminable:
    """Inside, SIGTERM ends the work as Ctrl-C does: the manifest says so, and nothing is lost."""

    def __enter__(self) -> None:
        try:
            self._before = signal.signal(signal.SIGTERM, self._stop)
        except ValueError:  # not the main thread: whoever runs us there has its own way to stop
            self._before = None

    def __exit__(self, *exception: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    @staticmethod
    def _stop(number: int, frame: types.FrameType | None) -> None:
        raise KeyboardInterrupt


def models(jobs: Mapping[str, str]) -> dict[str, type[Section]]:
    return {
        section: importlib.import_module(f"{package}.config").Config
        for section, package in jobs.items()
    }


def _explain(setting: str | None, jobs: Mapping[str, str]) -> str:
    known = models(jobs)
    if setting is None:
        width = max(len(section) for section in known)
        lines = ["An experiment file has one section for each job that is wanted:", ""]
        lines += [
            f"  {section:{width}}  {first_sentence(model.__doc__ or '')}"
            for section, model in known.items()
        ]
        lines += ["", "and `name:`, the folder of its results (default: the file's stem)."]
        lines += ["`pseudoword explain SECTION` lists the settings of a section.", ""]
        return "\n".join(lines)
    section = setting.partition(".")[0]
    if section not in known:
        close = suggest(section, list(known))
        hint = f"did you mean {close}?" if close else f"the sections are {', '.join(known)}"
        raise UserError(f"{section} is not a section; {hint}")
    return explain(known[section], setting)


def _run(arguments: argparse.Namespace, argv: list[str], jobs: Mapping[str, str]) -> None:
    """Validate the whole file, then run what is wanted of it."""
    experiment = load_experiment(arguments.file, arguments.overrides, models(jobs))
    wanted = list(experiment.sections) if arguments.command == "run" else [arguments.command]
    if SEARCH in wanted:
        wanted = [SEARCH]  # it runs the others itself
    for section in wanted:
        if section not in experiment.sections:
            there = ", ".join(experiment.sections)
            raise UserError(f"{experiment.path} has no section `{section}:`; it has {there}")
    _require_folder(Path(arguments.outputs))
    if arguments.dry_run:
        for section in wanted:
            for sentence in _forecast(experiment, section, jobs, arguments.outputs):
                print(f"{section}: {sentence}")
        return
    runs: list[Run] = []
    try:
        for section in wanted:
            runs.append(_run_job(experiment, section, jobs, arguments.outputs, argv))
    finally:  # what was finished is worth looking at, whatever happened to the next job
        if runs and runs[0].is_main:
            print(_report(runs), end="")


def _require_folder(outputs: Path) -> None:
    """Raise UserError where no folder for results can be: found here, not after the first job."""
    place = next(path for path in (outputs, *outputs.absolute().parents) if path.exists())
    if not place.is_dir():
        raise UserError(f"--outputs {outputs}: {place} is a file; name a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"--outputs {outputs}: {place} cannot be written to; name another folder")


def _forecast(
    experiment: Experiment, section: str, jobs: Mapping[str, str], outputs: str
) -> list[str]:
    """What a job says of its cost beforehand: `job.forecast(config, run)`, where it has that."""
    job = importlib.import_module(f"{jobs[section]}.job")
    if not hasattr(job, "forecast"):
        return ["no forecast"]
    run = Run(outputs, experiment.name, section)
    return job.forecast(experiment.sections[section], run, *_besides(experiment, section, jobs))


def _besides(experiment: Experiment, section: str, jobs: Mapping[str, str]) -> tuple:
    """What a job is told besides its own section and folder: nothing, unless it runs others."""
    others = {name: package for name, package in jobs.items() if name != SEARCH}
    return (experiment, others) if section == SEARCH else ()


def steps_of(
    experiment: Experiment, section: str, jobs: Mapping[str, str], outputs: str, command: str
) -> Generator[Progress, None, Run]:
    """Run one section of an experiment in its run folder, which keeps the account of it.

    Closing the generator, or raising in it, ends the run as Ctrl-C does.
    """
    record = {
        "command": command,
        "overrides": list(experiment.overrides),
        "configuration": experiment.resolved,
    }
    job = importlib.import_module(f"{jobs[section]}.job")
    with Run(outputs, experiment.name, section, record) as run:
        config, besides = experiment.sections[section], _besides(experiment, section, jobs)
        yield from job.run(config, run, *besides)
    return run


def _run_job(
    experiment: Experiment, section: str, jobs: Mapping[str, str], outputs: str, argv: list[str]
) -> Run:
    started = time.monotonic()
    command = shlex.join(["pseudoword", *argv])
    steps = steps_of(experiment, section, jobs, outputs, command)
    with closing(steps), Bars(section, quiet=process_index() > 0) as bars:
        try:
            while True:
                bars.show(next(steps))
        except StopIteration as end:
            run: Run = end.value
    if run.is_main:
        done = "already done" if run.reused else f"done in {spoken(time.monotonic() - started)}"
        print(f"{section}: {done}", file=sys.stderr)
    return run


def _report(runs: Sequence[Run]) -> str:
    """The notes of all jobs and the files to look at, as said at the end."""
    lines: list[str] = []
    notes = [(run.job, note) for run in runs for note in run.notes]
    if notes:
        lines += ["", *(f"{job}: {note}" for job, note in notes)]
    shown = [(_short(path), what) for run in runs for path, what in run.shown]
    if shown:
        width = min(60, max(len(path) for path, _ in shown))
        lines += ["", "Look at:", *(f"  {path:{width}}  {what}" for path, what in shown)]
    return "\n".join(lines) + "\n" if lines else ""


def _short(path: Path) -> str:
    """The path as one would type it here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
