"""The one kind of error that a user, rather than a programmer, has to read."""


class UserError(Exception):
    """A mistake that the user can put right: one clear sentence naming the file and the remedy.

    The terminal prints it as `error: ...` and exits with code 2, without a traceback.
    """
