"""The base of every error that one clear line explains to the user."""


class UserError(Exception):
    """A mistake of the user's that one clear line explains.

    Subclasses stand where the mistake is known and say what is wrong, where, and what to do.
    The command line prints ``str(error)`` alone and exits with `exit_code`.
    """

    exit_code = 2
