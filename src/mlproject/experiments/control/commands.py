"""What a user may ask of a study that runs, as it is written into a tag."""

import re
from dataclasses import dataclass
from enum import StrEnum

from mlproject.errors import UserError
from mlproject.text.escaping import for_terminal

_N_TRIALS = re.compile(r"n_trials ?[=:]? ?([1-9][0-9]{0,6})")
_MOST_SHOWN = 60


class UnknownCommand(UserError):
    """A text that asks for nothing that is known."""


class Verb(StrEnum):
    """What is asked."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    STOP_NOW = "stop now"
    N_TRIALS = "n_trials"


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a user asks of a study."""

    verb: Verb
    n_trials: int | None = None
    """How many trials the study is to have in all; of `Verb.N_TRIALS` alone."""

    def __str__(self) -> str:
        return self.verb if self.n_trials is None else f"{self.verb}={self.n_trials}"


def parse_command(text: str) -> Command:
    """Read what a user wrote: capitals, blanks and hyphens do not matter.

    Raises:
        UnknownCommand: says what could have been written.
    """
    words = " ".join(text[:1000].lower().split())
    asked = _N_TRIALS.fullmatch(words)
    if asked is not None:
        return Command(verb=Verb.N_TRIALS, n_trials=int(asked.group(1)))
    plain = words.replace("_", " ").replace("-", " ")
    if plain in (Verb.PAUSE, Verb.RESUME, Verb.STOP, Verb.STOP_NOW):
        return Command(verb=Verb(plain))
    shown = for_terminal(" ".join(text.split()))[:_MOST_SHOWN]
    raise UnknownCommand(
        f"control {shown!r} is not known, and nothing is changed: write pause, resume, stop, "
        "stop now or n_trials=80"
    )
