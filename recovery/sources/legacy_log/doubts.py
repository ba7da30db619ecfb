"""Which trials of a legacy log are in doubt because of lines that are not their own, and why."""

from collections.abc import Iterable

from recovery.records import LaunchId
from recovery.sources.legacy_log.launches import Launch

_BEFORE_GAP = "lines behind it are lost, and with them perhaps half of its finish line"
_NOT_CREATED = "the line with which Optuna names its study is lost"
_TWO_WRITERS = (
    "an end of a trial {} stands among the lines of another study: two processes wrote into one "
    "file"
)
_SECOND_END = "trial {} ends twice, in different ways: two processes wrote into one file"


class Doubts:
    """What the lines of one log say against its trials, as far as it has been read."""

    def __init__(self) -> None:
        self.distrusted: dict[tuple[LaunchId, int | None], str] = {}
        """Trials, or whole launches where the number is None, and the reason."""
        self._left_open: list[tuple[LaunchId, int]] = []
        """Trials that had not ended when another study was named."""
        self._stray_ends: set[int] = set()
        """Trials whose end stands in this launch or the one before it, without a beginning."""

    def end_launch(self, launch: Launch, left_open: Iterable[int]) -> None:
        """A launch is over; the trials `left_open` have not ended in it.

        Where none of its trials can be trusted, one reason is enough.
        """
        for number in left_open:
            self._left_open.append((launch.id, number))
            if number in self._stray_ends:
                self.distrusted[launch.id, number] = _TWO_WRITERS.format(number)
        self._stray_ends = set(launch.without_start)
        if launch.maximises:
            launch.distrust(
                f"{launch.maximises}, which is not the lowest: the study maximises its value, so "
                "it is no loss"
            )
        if launch.disorder:
            self.distrusted[launch.id, None] = launch.disorder
            return
        for number, names in launch.sampled_otherwise():
            reason = f"its finish line has other parameters than those of the study: {names}"
            self.distrusted[launch.id, number] = reason
        for number in launch.before_gaps():
            self.distrusted[launch.id, number] = _BEFORE_GAP
        self.distrusted |= {(launch.id, n): reason for n, reason in launch.cut_off().items()}
        if launch.ends_twice is not None:
            # A finished trial proves itself by its two lines; any other state may be another's.
            reason = _SECOND_END.format(launch.ends_twice)
            others = (n for n in launch.seen if n not in launch.values or n == launch.ends_twice)
            self.distrusted |= dict.fromkeys(((launch.id, n) for n in others), reason)

    def see_stray_end(self, trial_number: int) -> None:
        """An end that fits no trial of its launch may be of one that was left open before."""
        for launch, number in self._left_open:
            if number == trial_number:
                self.distrusted[launch, number] = _TWO_WRITERS.format(number)

    def see_second_end(self, launch: Launch, trial_number: int, line: bytes) -> None:
        """A trial of the launch ends once more, in another way."""
        self.see_stray_end(trial_number)
        launch.ends_twice = trial_number
        self.distrusted[launch.id, trial_number] = _SECOND_END.format(trial_number)
        if trial_number in launch.values and b" finished with value" in line:
            launch.distrust(_SECOND_END.format(trial_number))

    def of_sections(self, launches: Iterable[LaunchId]) -> None:
        """Launches that a section alone names, in a log whose other studies Optuna names too."""
        self.distrusted |= dict.fromkeys(((launch, None) for launch in launches), _NOT_CREATED)
