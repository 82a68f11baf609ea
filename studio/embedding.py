"""`pseudoword embedding`: look at embedding files, write them for other programs, send them."""

import argparse
import sys
from pathlib import Path
from typing import Any

from lab.errors import UserError

PROGRAMS = ("a1111", "a1111-png", "diffusers", "kohya", "onetrainer", "invokeai")
BUNDLED = "storybook"
_ABOUT = "look at embedding files of any program, and write them for another"
_EXAMPLES = """\
examples:
  pseudoword embedding inspect outputs/storybook/inversion/patchwork.safetensors
  pseudoword embedding inspect downloads/*.pt --model runwayml/stable-diffusion-v1-5
  pseudoword embedding convert patchwork.safetensors patchwork.pt --to a1111
  pseudoword embedding convert patchwork.safetensors patchwork.png --to a1111-png --picture best.png
  pseudoword embedding upload patchwork.safetensors me/patchwork

Nothing in a file is ever executed: a pickle with anything but vectors in it is refused.
"""


def add_parsers(commands: Any, kind: type[argparse.ArgumentParser]) -> None:
    """Add `embedding inspect`, `convert` and `upload` to the program's commands."""
    keep = argparse.RawDescriptionHelpFormatter
    about = _ABOUT[0].upper() + _ABOUT[1:] + "."
    embedding = commands.add_parser(
        "embedding", help=_ABOUT, description=about, epilog=_EXAMPLES, formatter_class=keep
    )
    actions = embedding.add_subparsers(
        dest="action", metavar="ACTION", required=True, parser_class=kind, title="actions"
    )
    about = "say what files are, which models they fit, who reads them, and what is wrong"
    looking = actions.add_parser("inspect", help=about, description=about.capitalize() + ".")
    looking.add_argument("files", metavar="FILE", nargs="+", help="embedding files")
    looking.add_argument(
        "--model",
        metavar="MODEL",
        help="compare with this model's vocabulary: norms and nearest words (default: the bundled "
        "model, for words of its width)",
    )
    about = "write an embedding as another program keeps it"
    converting = actions.add_parser("convert", help=about, description=about.capitalize() + ".")
    converting.add_argument("source", metavar="IN", help="an embedding file of any program")
    converting.add_argument("target", metavar="OUT", help="the file to write")
    converting.add_argument(
        "--to", required=True, choices=PROGRAMS, help="the program that shall read it"
    )
    converting.add_argument("--name", help="another word for it, such as '<wildsmith>'")
    converting.add_argument(
        "--picture", metavar="FILE", help="what a1111-png shows (default: the vectors themselves)"
    )
    converting.add_argument(
        "--force", action="store_true", help="overwrite OUT if it is there already"
    )
    about = "send a word and its card to the Hugging Face Hub"
    sending = actions.add_parser("upload", help=about, description=about.capitalize() + ".")
    sending.add_argument("source", metavar="FILE", help="a learned word, as .safetensors")
    sending.add_argument("repository", metavar="OWNER/NAME", help="where to; made if need be")
    sending.add_argument(
        "--public", action="store_true", help="let everybody see a repository that has to be made"
    )
    sending.add_argument(
        "--force", action="store_true", help="replace a word and a card that are there already"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments ask for; the exit code is 2 where a file is no embedding."""
    if arguments.action == "inspect":
        return _inspect(arguments.files, arguments.model)
    if arguments.action == "upload":
        from studio.upload import upload

        print(upload(
            arguments.source, arguments.repository, public=arguments.public, force=arguments.force
        ))  # fmt: skip
        return 0
    return _convert(arguments)


def _inspect(files: list[str], model: str | None) -> int:
    from diffusion.inspection import BUNDLED_WIDTH, inspect, report, vocabulary_of

    vocabularies = [vocabulary_of(model)] if model else []
    failed = False
    for number, file in enumerate(files):
        try:
            inspected = inspect(file, vocabularies)
        except UserError as error:
            failed = True
            print(f"error: {error}", file=sys.stderr)
            continue
        width = inspected.embedding.vectors.shape[1]
        if width == BUNDLED_WIDTH and not vocabularies:
            vocabularies = [vocabulary_of(BUNDLED)]
            inspected = inspect(file, vocabularies)
        print(("\n" if number else "") + report(inspected), end="")
        if model and inspected.vocabulary is None:
            fitting = vocabularies[0].table.shape[1]
            print(f"                it does not fit {model}, whose vectors have width {fitting}")
    return 2 if failed else 0


def _convert(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from diffusion.formats import WRITERS, convert, read_embedding

    source, target = Path(arguments.source), Path(arguments.target)
    if arguments.picture and arguments.to != "a1111-png":
        raise UserError(f"--picture is for --to a1111-png; {arguments.to} files show none")
    embedding = read_embedding(source)
    if arguments.name:
        embedding = replace(embedding, token=arguments.name)
    if target.exists() and not arguments.force:
        raise UserError(f"{target} exists already; name another file, or add --force")
    picture = Path(arguments.picture) if arguments.picture else None
    convert(embedding, target, arguments.to, picture)
    use = WRITERS[arguments.to].use.format(
        stem=target.stem, name=embedding.name, token=embedding.token
    )
    count = len(embedding.vectors)
    vectors = f"{count} vector{'s' if count > 1 else ''}"
    print(f"{target}: {embedding.token}, {vectors}, for {arguments.to}; in a prompt: {use}")
    return 0
