"""The job `skew`: prompts x strengths x seeds -> pictures -> what is uneven in them -> a page."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cfg.forecast import seconds_for
from diffusion.formats import load_embedding
from diffusion.overwriting import own_rows
from diffusion.prompts import notes_of_cuts
from diffusion.pseudo_word import require_width
from diffusion.stable_diffusion import StableDiffusion, open_model, what_computes
from diffusion.words import WordFile, words_in
from inversion.card import ship
from lab.device import pick_device
from lab.errors import UserError
from lab.forecast import duration
from lab.kept import is_there
from lab.memory import enough_memory
from lab.processes import Processes
from lab.run import Progress, Run, file_hash, write_json
from metrics.features import Encoder
from skew import report
from skew.config import Config
from skew.drawing import FOLDER, draw, link
from skew.facts import facts_of, sentences
from skew.judge import Judge, Question
from skew.looking import Seen, clip_name, load_eyes, look, question_of
from skew.plan import Keyed, Wanted, keyed, plan, strengths_of

VERSION = 1  # raised when the same configuration would give other pixels
FACTS, PICTURES, LIST, PAGE = "skew.json", "pictures", "pictures.json", "report.html"
SHIPPED = "word"  # the learned word with its card, to give away
MADE = [FACTS, PICTURES, LIST, PAGE, SHIPPED, "*.png"]


def run(config: Config, run: Run) -> Iterator[Progress]:
    """Draw, judge and show what `config` asks for: report.html, skew.json, pictures/.

    Raises:
        UserError: no such word, a judge that does not know what it is asked, a network that is not
            there, vectors that do not fit the model: all of it before anything is written.
    """
    learned = learned_word(config, run.sibling("inversion"))
    question = question_of(config)
    key = run.fingerprint(_inputs(config, learned))
    processes = Processes(config.device)
    begun = run.read_manifest().get("key") == key
    opened = None if begun else _open(config, question, learned)
    processes.wait()
    if run.is_complete(key, discard=MADE):
        return
    yield Progress("loading the model", 0, 1)
    opened = opened or _open(config, question, learned)
    run.manifest |= {"model_fingerprint": opened.sd.fingerprint, "device": str(opened.sd.device)}
    run.manifest |= {"seeds": config.seeds.model_dump(), "word": learned and learned.sha256}
    for note in opened.notes:
        run.note(note)
    yield Progress("loading the model", 1, 1)
    wanted = plan(config, tuple(question.values), opened.strengths)
    pictures = _keyed(config, run, learned, wanted)
    with enough_memory(f"set skew.batch_size below {config.batch_size}, or skew.dtype to fp16"):
        yield from draw(config, opened.sd, learned, pictures, processes)
    if run.is_main:
        yield from _measure(config, run, opened, pictures, learned)
    processes.wait()


def learned_word(config: Config, inversion: Path) -> WordFile | None:
    """What was learned for the word: skew.embedding, else the file of this experiment's inversion,
    else None.

    Raises:
        UserError: the file cannot be read, or the inversion learned other words only.
    """
    if config.embedding:
        path = Path(config.embedding)
        return WordFile(path, load_embedding(path), file_hash(path))
    words = words_in(inversion)
    found = [w for w in words.values() if w.token.lower() == config.word.lower()]
    if words and not found:
        raise UserError(
            f"{inversion} has no word {config.word}, only {', '.join(words)}: set skew.word to one "
            "that inversion overwrote, or skew.embedding to a file"
        )
    return found[0] if found else None


class Opened(NamedTuple):
    """What was found to be right before anything is written."""

    sd: StableDiffusion
    judge: Judge
    clip: Encoder | None
    strengths: list[float]
    notes: list[str]


def _open(config: Config, question: Question, learned: WordFile | None) -> Opened:
    """Load the model and who looks, and see whether the word fits; the model stays untouched."""
    sd = open_model(config)
    judge, clip = load_eyes(config, question, str(pick_device(config.device)))
    prompts = [*config.prompts, *config.explicit.prompts, *config.bystanders.prompts]
    notes = notes_of_cuts(sd, prompts)
    strengths = strengths_of(config, learned is not None)
    if learned is not None:
        require_width(sd, config.word, learned.embedding.vectors)
        old = len(own_rows(sd, config.word))
        if old != learned.count:
            strengths = [0.0, 1.0]
            notes.append(
                f"{config.word} has {old} vectors in the model and {learned.count} were learned: "
                "there is nothing between strength 0 and 1 to draw"
            )
    return Opened(sd, judge, clip, strengths, notes)


def _inputs(config: Config, learned: WordFile | None) -> dict[str, Any]:
    return {
        "config": config.model_dump(mode="json", exclude={"memory"}),
        "settings": _what_decides_the_pixels(config),
        "word": learned and learned.sha256,
    }


def _what_decides_the_pixels(config: Config) -> dict[str, Any]:
    drawn = {"steps", "scheduler", "negative_prompt"}
    return {
        **config.model_dump(mode="json", include=drawn),
        "version": VERSION,
        **what_computes(config),
    }


def _keyed(
    config: Config, run: Run, learned: WordFile | None, wanted: Sequence[Wanted]
) -> list[Keyed]:
    folder = run.folder.parent.parent / FOLDER
    word = (config.word, learned.sha256 if learned else "")
    return keyed(wanted, folder, _what_decides_the_pixels(config), word, config.batch_size)


def _measure(
    config: Config,
    run: Run,
    opened: Opened,
    pictures: Sequence[Keyed],
    learned: WordFile | None,
) -> Iterator[Progress]:
    """Judge the pictures, which are all there; write figures, list, page, and the word's card."""
    series = link(pictures, run.folder / PICTURES)
    wanted: dict[str, list[Wanted]] = {}
    for picture in pictures:
        wanted.setdefault(picture.wanted.series, []).append(picture.wanted)
    asked = {name: _prompts_to_fit(config, some) for name, some in wanted.items()}
    seen = yield from look(opened.judge, opened.clip, series, asked)
    yield Progress("making the page", 0, 1)
    facts = facts_of(config, tuple(opened.judge.question.values), wanted, series, seen)
    facts["judge"] = opened.judge.name
    facts["match_judged_by"] = clip_name(opened.clip)
    write_json(run.folder / FACTS, facts)
    write_json(run.folder / LIST, _listing(wanted, series, seen, run.folder))
    report.save(config, run, facts, series, seen)
    for sentence in sentences(facts):
        run.note(sentence)
    run.show(PAGE, "before and after on one page")
    run.show(report.GRIDS, "pictures of the same prompts and seeds, before and after")
    run.show(FACTS, "every figure on the page")
    run.show(PICTURES, "every picture, in folders named by what they are for")
    run.show(LIST, "what each picture was asked for, and what the judge says it shows")
    if learned is not None:
        ship(run.folder / SHIPPED, learned, facts, config.model_dump(mode="json"))
        run.show(SHIPPED, "the word to give away: a file that AUTOMATIC1111 applies, and its card")
    yield Progress("making the page", 1, 1)


def _prompts_to_fit(config: Config, wanted: Sequence[Wanted]) -> list[str]:
    """What each picture of a series should show: where words were added silently, what was asked
    for before."""
    if wanted[0].group == "silent":
        return [config.prompts[k % len(config.prompts)] for k in range(len(wanted))]
    return [one.prompt for one in wanted]


def _listing(
    wanted: Mapping[str, Sequence[Wanted]],
    series: Mapping[str, Sequence[Path]],
    seen: Mapping[str, Seen],
    folder: Path,
) -> list[dict[str, Any]]:
    return [
        {
            "file": path.relative_to(folder).as_posix(),
            "prompt": one.prompt,
            "seed": one.seed,
            "strength": one.strength,
            "guidance_scale": one.scale,
            "asked_for": one.value,
            "shows": seen[name].values[k],
            "subject": bool(seen[name].subject[k]),
        }
        for name, paths in series.items()
        for k, (one, path) in enumerate(zip(wanted[name], paths, strict=True))
    ]


def forecast(config: Config, run: Run) -> list[str]:
    """How many pictures there are to draw and how long that takes here; nothing is written."""
    learned = learned_word(config, run.sibling("inversion"))
    question = question_of(config)
    strengths = strengths_of(config, learned is not None)
    wanted = plan(config, tuple(question.values), strengths)
    pictures = {p.key: p for p in _keyed(config, run, learned, wanted)}
    missing = sum(not is_there(p) for p in pictures.values())
    said = f"{missing} of {len(pictures)} pictures to draw, {config.steps} steps each"
    if missing:
        predictions = 2 * missing * config.steps  # with the prompt and without
        seconds = seconds_for(open_model(config), predictions, missing, config.batch_size)
        said += f", about {duration(seconds)}"
    if learned is None:
        return [said, "nothing was learned for the word yet: only the model as it is"]
    return [said]
