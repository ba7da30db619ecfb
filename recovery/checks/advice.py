"""What a person can do about a row that a check of `recovery.checks.suite` has found."""

OPEN_THE_LOG = (
    "Open the log at the lines named. If it was damaged there and you know what stood in it, mend "
    "a copy and run the command again with the copy: the row comes in, the others are left alone."
)
NOTHING = "Nothing has to be done: the trial is in, with this remark in its tag recovery.warnings."
TIMES = (
    "Open the log at the lines named. If the clock was changed or the log is not in UTC, give the "
    "zone of the log with --timezone."
)
OTHER_SOURCE = (
    "Nothing has to be done. A source that says more (a whole log, the program's own JSON, an "
    "Optuna storage) may be given to the same command."
)
MIXED = (
    "Open the log at the lines named. Where lines of several studies or of two processes were "
    "mixed, give the logs that the mixture was made of one by one; where lines are lost, a whole "
    "copy."
)
