"""The base of every error that one clear line explains to the user, and what is no error."""


class UserError(Exception):
    """A mistake of the user's that one clear line explains.

    Subclasses stand where the mistake is known and say what is wrong, where, and what to do.
    The command line prints ``str(error)`` alone and exits with `exit_code`.
    """

    exit_code = 2


def is_interruption(error: BaseException) -> bool:
    """Tell whether an error is an interruption, or what one has left behind.

    It may come between any two lines, those of a library included: where its own clean-up then
    misses a name, the error of that stands before the interruption.
    """
    if isinstance(error, NameError) and error.__context__ is not None:
        return is_interruption(error.__context__)
    return isinstance(error, KeyboardInterrupt)
