"""The thread that reads what a user asks of a study, and answers beside it.

MLflow is asked every few seconds, whatever a step takes. A tag that was read is removed; what was
done stands in `control_done`, with its time. Where MLflow is away there is nothing to be read, and
`mlproject.tracking.live_tracking` says so.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from mlproject.experiments.control.commands import Command, UnknownCommand, Verb, parse_command
from mlproject.experiments.control.steering import Obey
from mlproject.experiments.trial_log import write_line
from mlproject.tracking.control_tag import answer_control, read_control
from mlproject.tracking.store import TrackingStore

POLL_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0
"""How long it is left in peace while it does not answer."""

_logger = logging.getLogger(__name__)


@contextmanager
def listening(store: TrackingStore, parent_run_id: str, obey: Obey) -> Iterator[None]:
    """Obey what is asked of the study of a parent run while the block runs."""
    listener = _Listener(store, parent_run_id, obey)
    try:
        yield
    finally:
        listener.end()


class _Listener:
    def __init__(self, store: TrackingStore, parent_run_id: str, obey: Obey) -> None:
        self._store = store
        self._parent_run_id = parent_run_id
        self._obey = obey
        self._has_ended = threading.Event()
        self._is_first_look = True
        self._answered: tuple[str, str] | None = None
        """What was read and the answer to it, until MLflow has that."""
        threading.Thread(target=self._listen, name="control", daemon=True).start()

    def end(self) -> None:
        """Read no more. A request that is under way is not waited for."""
        self._has_ended.set()

    def _listen(self) -> None:
        pause = 0.0
        while not self._has_ended.wait(pause):
            try:
                self._look()
                pause = POLL_SECONDS
            except Exception as error:  # whatever it is, the study goes on
                _logger.debug("MLflow does not say what is asked for", exc_info=error)
                pause = min(2 * max(pause, POLL_SECONDS), LONGEST_PAUSE_SECONDS)

    def _look(self) -> None:
        asked = read_control(self._store, self._parent_run_id)
        was_first, self._is_first_look = self._is_first_look, False
        if self._has_ended.is_set():
            return
        if asked is None:
            self._answered = None
            return
        if self._answered is None or self._answered[0] != asked:
            self._answered = (asked, self._answer(asked, is_old=was_first))
        answer_control(self._store, self._parent_run_id, *self._answered)
        self._answered = None

    def _answer(self, asked: str, *, is_old: bool) -> str:
        """Do what is asked, say it, and return what is to be kept of it.

        What stands there when a launch begins was asked of an earlier one, which may have ended
        before it came to that. Only how many trials there are to be is still meant.
        """
        try:
            command = parse_command(asked)
        except UnknownCommand as error:
            _logger.warning("%s", error)
            return f"{_now()}: {error}"
        if is_old and command.verb is not Verb.N_TRIALS:
            _logger.warning("control %s was set before this launch, and is not obeyed", command)
            return f"{_now()}: {command} was set before this launch, and is not obeyed"
        return self._do(command)

    def _do(self, command: Command) -> str:
        meaning = self._obey(command)
        # By its own words: what a user writes could pass for a line of a trial.
        write_line(f"Control: {command}, as asked in MLflow: {meaning}", to_terminal=True)
        return f"{_now()}: {command}: {meaning}"


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
