"""Passwords and tokens: where they may stand, and text without them.

They come in through the environment alone. A command line is seen by every user of the machine
(`ps`), and `mlflow run` logs its parameters, so one that holds a password is refused.
"""

import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from mlproject.errors import UserError

STORAGE_VARIABLE = "MLPROJECT_STORAGE"
"""The storage URL may come from the environment, since `mlflow run` logs its parameters."""

HIDDEN = "***"

_MAX_URL_CHARACTERS = 4096
"""Bounds the patterns, so that no text can make them slow."""

# Of a web address the user is hidden too: services take a token there. A password that is not
# percent-encoded may hold any sign, so everything up to the last @ is taken for it.
_WEB_USER = re.compile(rf"(https?:/{{1,2}})[^\s/@]{{1,{_MAX_URL_CHARACTERS}}}@", re.IGNORECASE)
_WEB_PASSWORD = re.compile(
    rf"(https?:/{{1,2}})[^\s/@:]*:\S{{0,{_MAX_URL_CHARACTERS}}}@", re.IGNORECASE
)
_PASSWORD = re.compile(rf"(:/{{1,2}}[^\s/@:]*):\S{{0,{_MAX_URL_CHARACTERS}}}@")
# In the query of a URL, in a libpq connection string, in the text of an error.
_FIELD = re.compile(
    r"\b((?:[a-z]{0,20}_?(?:password|passwd|pwd|token|secret))\s?=\s?)(?:'[^']*'|[^\s&'\",;)]+)",
    re.IGNORECASE,
)
_HEADER = re.compile(r"\b(Basic|Bearer) [A-Za-z0-9+/=._~-]{4,}")

_OPTION = re.compile(r"--[a-z][a-z-]*")
_SECRET_VARIABLE = re.compile(r"(?:PASSWORD|PASSWD|TOKEN|SECRET|SECRET_ACCESS_KEY)$")
_LEAST_CHARACTERS = 6
"""Anything shorter is hidden only where its place gives it away: it may be part of any word."""

_JOURNAL = "optuna.trial_log"
"""The logger whose lines runs are rebuilt from: no sign in them may change by chance."""


class CredentialsInSight(UserError):
    """A password or a token stands where others can read it."""


class AmbiguousUrl(UserError):
    """A password in a URL holds a sign that ends it, so that the rest is taken for a host."""


def hide_credentials(text: str) -> str:
    """The text fit to be shown: passwords and tokens in it are replaced by ``***``.

    Found are those in URLs, fields such as ``password=``, and, wherever they stand, the values of
    this process's environment variables that hold one.
    """
    for secret in sorted(_secrets_of(os.environ), key=len, reverse=True):
        if secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return _hide_by_place(text)


def first_line(error: BaseException) -> str:
    """The first line of an error's text, fit to be shown."""
    return hide_credentials((str(error).strip() or type(error).__name__).splitlines()[0])


def _hide_by_place(text: str) -> str:
    if ":/" in text:
        text = _WEB_PASSWORD.sub(rf"\1{HIDDEN}@", text)
        text = _WEB_USER.sub(rf"\1{HIDDEN}@", text)
        text = _PASSWORD.sub(rf"\1:{HIDDEN}@", text)
    text = _FIELD.sub(rf"\1{HIDDEN}", text)
    return _HEADER.sub(rf"\1 {HIDDEN}", text)


def holds_credentials(url: str) -> bool:
    """Whether a URL holds a password or a token."""
    return "://" in url and (_hide_by_place(url) != url or any(_secrets_of_url(url)))


def check_url(url: str, what: str) -> None:
    """Refuse a URL, called `what`, in which a password is not percent-encoded.

    Drivers would take what follows such a sign for a host or a port, and name it in their errors.

    Raises:
        AmbiguousUrl: says which signs to encode, and shows nothing of the URL.
    """
    rest = url.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if not authority:
        return  # the path of a file
    _, colon, port = authority.partition(":")
    ends_early = "@" in rest.partition("?")[0] or ("@" in rest and not port.isdecimal())
    is_cut = colon and "@" not in authority and ends_early
    if is_cut or authority.count("@") > 1 or re.search(r"\s", rest.rpartition("@")[0]):
        raise AmbiguousUrl(
            f"{what} has a password with one of the signs / ? # @ or a blank in it: "
            "write them percent-encoded (%2F, %3F, %23, %40, %20)"
        )


def refuse_credentials(arguments: Sequence[str]) -> None:
    """Refuse a command line that holds a password or a token in a URL.

    Raises:
        CredentialsInSight: names the option and where to put it instead.
    """
    for index, argument in enumerate(arguments):
        if holds_credentials(argument):
            names = (argument.partition("=")[0], *arguments[max(index - 1, 0) : index])
            option = next((name for name in names if _OPTION.fullmatch(name)), "a URL")
            raise CredentialsInSight(
                f"{option} holds a password or a token, and others can read command lines: give "
                f"the storage URL in the environment variable {STORAGE_VARIABLE}, or leave the "
                "password out and let PostgreSQL read ~/.pgpass"
            )


def keep_credentials_unseen() -> None:
    """From now on, hide credentials in what is logged and in the stack traces of this process."""
    logging.setLogRecordFactory(_DiscreetRecord)
    sys.excepthook = _print_exception
    threading.excepthook = lambda args: _print_exception(
        args.exc_type, args.exc_value, args.exc_traceback
    )


class _DiscreetRecord(logging.LogRecord):
    """A log record whose text holds no credentials, whatever handler writes it."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if self.exc_info and self.exc_info[0]:
            # Formatters make the text of a stack trace only where there is none.
            self.exc_text = hide_credentials("".join(traceback.format_exception(*self.exc_info)))

    def getMessage(self) -> str:  # noqa: N802 # its name in logging
        text = super().getMessage()
        return _hide_by_place(text) if self.name == _JOURNAL else hide_credentials(text)


def _print_exception(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    sys.stderr.write(hide_credentials("".join(traceback.format_exception(kind, error, trace))))


def _secrets_of(variables: Mapping[str, str]) -> set[str]:
    """The secrets among environment variables, in every spelling in which errors may name them."""
    found: set[str] = set()
    for name, value in variables.items():
        if _SECRET_VARIABLE.search(name):
            found.add(value)
        elif "://" in value:
            found.update(_secrets_of_url(value))
    spelled = {
        spelling
        for secret in found
        for plain in (secret, unquote(secret), unquote_plus(secret))
        for spelling in (plain, quote(plain, safe=""), quote_plus(plain))
    }
    return {secret for secret in spelled if len(secret) >= _LEAST_CHARACTERS}


def _secrets_of_url(url: str) -> Iterator[str]:
    scheme, _, rest = url.partition("://")
    authority, at, _ = rest.rpartition("@")
    user, colon, password = authority.partition(":")
    if at and colon and "/" not in user:
        yield password
    if at and not colon and scheme.startswith("http"):
        yield user  # a token
    for match in _FIELD.finditer(rest):
        yield rest[match.end(1) : match.end()]
