"""The time zone that a runner printed beside its own lines, held against the one they are read in.

The time stamps of a log carry none, so `--timezone` has to say it; such a line shows that it was
forgotten.
"""

from datetime import UTC, datetime, timedelta, tzinfo

_UTC_NAMES = ("UTC", "GMT", "Z", "AM", "PM")
_KNOWN = {
    "PST": "America/Los_Angeles",
    "PDT": "America/Los_Angeles",
    "MST": "America/Denver",
    "MDT": "America/Denver",
    "CST": "America/Chicago",
    "CDT": "America/Chicago",
    "EST": "America/New_York",
    "EDT": "America/New_York",
    "BST": "Europe/London",
    "WET": "Europe/Lisbon",
    "CET": "Europe/Berlin",
    "CEST": "Europe/Berlin",
    "EET": "Europe/Helsinki",
    "EEST": "Europe/Helsinki",
    "MSK": "Europe/Moscow",
    "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo",
    "KST": "Asia/Seoul",
    "AEST": "Australia/Sydney",
    "AEDT": "Australia/Sydney",
}


def zone_remark(printed: str, zone: tzinfo) -> str | None:
    """What to say of a zone's name in a log that is read in `zone`; None where they agree."""
    if printed in _names(zone) or (printed in _UTC_NAMES and zone is UTC):
        return None
    if printed in ("AM", "PM"):
        return None
    likely = "UTC" if printed in _UTC_NAMES else _KNOWN.get(printed)
    advice = f" such as {likely}" if likely else ""
    return (
        f"the log names the time zone {printed}, but its times are read as {zone}: give "
        f"--timezone{advice} to the same command"
    )


def _names(zone: tzinfo) -> set[str]:
    """What the zone is called in winter and in summer."""
    january = datetime(2025, 1, 1, tzinfo=UTC)
    return {(january + timedelta(days=182 * n)).astimezone(zone).tzname() or "" for n in (0, 1)}
