"""The file of a SQLite URL, as MLflow, Optuna and SQLAlchemy write and read it.

A path in a URL may be percent-encoded or not: MLflow encodes blanks and letters that are not ASCII,
and SQLAlchemy decodes them. Nothing here opens a file.
"""

import re
from pathlib import Path
from urllib.parse import parse_qs, unquote

SQLITE = "sqlite:///"

_URL = re.compile(r"sqlite(?:\+\w+)?://(?:/(?P<path>[^?]*))?(?:\?(?P<query>.*))?", re.DOTALL)
_MEMORY = ":memory:"


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite URL; None for a server, and for a database in memory."""
    path = _database(url)
    return Path(path) if path is not None and not is_in_memory(url) else None


def sqlite_url(file: Path) -> str:
    """Return the URL of a file, encoded only where it would be read as another."""
    path = str(file)
    if unquote(path) != path or "?" in path:
        path = path.replace("%", "%25").replace("?", "%3F")
    return f"{SQLITE}{path}"


def is_in_memory(url: str) -> bool:
    """Tell whether a SQLite URL names a database that ends with its process."""
    path = _database(url)
    if path is None:
        return False
    query = parse_qs(url.partition("?")[2])
    return path in ("", _MEMORY) or "memory" in query.get("mode", ())


def _database(url: str) -> str | None:
    match = _URL.fullmatch(url)
    if match is None:
        return None
    path = unquote(match["path"] or "")
    return path.removeprefix("file:") if "uri=" in (match["query"] or "") else path
