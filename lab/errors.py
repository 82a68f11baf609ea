"""The one kind of error that a user, rather than a programmer, has to read."""

import textwrap


class UserError(Exception):
    """A mistake that the user can put right: one clear sentence naming the file and the remedy.

    The terminal prints it as `error: ...` and exits with code 2, without a traceback.
    """


def said_first(error: BaseException) -> str:
    """What an exception says first, short and whole enough to stand within a sentence."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    said = textwrap.shorten(lines[0], 160, placeholder=" ...")
    if said.count("(") > said.count(")"):  # cut off within a bracket
        said = said.rpartition("(")[0]
    return said.rstrip(" .") or type(error).__name__
