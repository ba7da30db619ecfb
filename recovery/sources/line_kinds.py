"""What the lines that speak of studies and trials begin with, whoever printed them."""

import re

from mlproject.tracking.trial_log_lines import FIRST_NEW_FIELD

TRIAL = re.compile(rb"Trial (\d{1,9})(:| starting:| finished| pruned| failed| epoch| ended)")
CREATED = re.compile(rb"A new study created in \S{1,60}(?: \S{1,60}){0,3} with name: (.{1,300})")
REUSED = re.compile(rb"Using an existing study with (?:name '|`study_name=')(.{1,300}?)'")
SECTION = re.compile(rb"\[\d{1,6}/\d{1,6}\] (Starting|PASSED|FAILED): (\S{1,200})")
OUTPUT = re.compile(rb" {0,8}Output dir: .{0,500}/([^/]{1,300})")
STARTING = re.compile(rb"Starting HPO: (\d{1,9}) trials")
INJECTED = re.compile(rb".{0,8}Injected (\d{1,9}) trials into study", re.DOTALL)
CLOCK = re.compile(
    rb".{0,40}\d\d:\d\d:\d\d (?:[AP]M )?([A-Z]{2,5})(?: \d{4})?\s{0,8}", re.ASCII | re.DOTALL
)
"""``Time: Fri Dec 12 14:12:00 PST 2025``, as `date` prints it."""
OF_THIS_PROJECT = FIRST_NEW_FIELD.encode()
FORCED_DROPOUT = b"Forced dropout="
COMPLETE = b"HPO complete"

SPEAKS_OF_A_TRIAL = (b": arch_idx=", b" finished with value", b"Best is trial", b", val_loss=")

MARKS = (
    (b"T", b"Trial "),
    (b"]", b"] "),
    (b" ", b" study"),
    (b"E", b"Error"),
    (b"I", b"Interrupt"),
    (b"F", b"Forced"),
    (b"O", b"Output"),
    (b"H", b"HPO"),
    (b"T", b"Time: "),
    (b"=", b"arch_idx="),
    (b"B", b"Best is"),
    (b"=", b", val_loss="),
)
"""Fast filter: a line with none of these is noise, as most lines of most logs are.

Each with a byte of it that is rare in noise: where that is missing, no more has to be looked for.
"""

BARS = (b"%|", b"it/s", b"\r", b"\x1b", b"Error: ")
"""A block with any of these has its noise told apart line by line."""

_STAMP = rb"\[[DIWEC] \d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] ?"
_SPEECH = (
    rb"Trial \d{1,9}(?:: arch_idx=| starting: | finished with value: | pruned\.| failed with )"
    rb"|\[\d{1,6}/\d{1,6}\] (?:Starting|PASSED|FAILED): "
    rb"|A new study created in |Using an existing study with |Starting HPO: \d"
)
MESSAGE = re.compile(rb"(?:%b)?(?:%b)|%b" % (_STAMP, _SPEECH, _STAMP))
"""The beginning of a message of the old program, the runner or Optuna, wherever it stands."""
NEEDLES = (b"Trial ", b"A new study created in ", b"Using an existing study", b"] Starting: ")
"""Without any of these a block has no message that matters."""
