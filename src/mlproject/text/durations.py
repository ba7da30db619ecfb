"""A duration as a person would say it."""

_UNITS = (("weeks", 604_800), ("days", 86_400), ("h", 3_600), ("min", 60))
_MOST_WEEKS_IN_DAYS = 60
"""Up to so many days a duration is told in days."""


def duration(seconds: float) -> str:
    """In the unit that a person would use, such as ``51 s``, ``2.7 h`` or ``33 days``."""
    for unit, size in _UNITS:
        least = _MOST_WEEKS_IN_DAYS * 86_400 if unit == "weeks" else 2 * size
        if seconds >= least:
            count = seconds / size
            return f"{count:.0f} {unit}" if count >= 10 else f"{count:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
