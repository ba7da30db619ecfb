"""What ends a command before its time: Ctrl-C, SIGTERM, a closed terminal, the end of `mlflow run`.

All four are one interruption, which the command takes as a `KeyboardInterrupt`: it closes what it
has opened and ends. What comes on top while it does so is ignored.
"""

import os
import signal
import stat
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

INSIST_SECONDS = 30.0
"""Closing takes seconds. Whoever still interrupts after this long means it."""
_POLL_SECONDS = 1.0
_AGAIN_SECONDS = 0.05
_SHELLS = ("sh", "bash", "dash", "zsh")
_ENDING = b"interrupted: what is open is being closed, which takes seconds\n"

_interrupted_at: list[float] = []


def end_on_signals() -> None:
    """From now on, take SIGINT, SIGTERM and SIGHUP as one interruption.

    A signal that is ignored (`nohup`, a job in the background of a script) stays so.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        which = getattr(signal, name, None)  # Windows has no SIGHUP
        if which is not None and signal.getsignal(which) is not signal.SIG_IGN:
            signal.signal(which, _interrupt)
    sys.unraisablehook = _interrupt_again


def _interrupt_again(lost: "sys.UnraisableHookArgs") -> None:
    """Interrupt once more where Python has lost an interruption, as it does within a `__del__`."""
    if lost.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(lost)
        return
    _interrupted_at.clear()
    again = threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), signal.SIGTERM))
    again.daemon = True
    again.start()


def _interrupt(received: int, _frame: FrameType | None) -> None:
    now = time.monotonic()
    if received == getattr(signal, "SIGHUP", None):
        _leave_terminal()
    if _interrupted_at and now - _interrupted_at[-1] < INSIST_SECONDS:
        with suppress(OSError):  # the terminal may be closed
            os.write(2, _ENDING)
        return
    _interrupted_at.append(now)
    raise KeyboardInterrupt


def _leave_terminal() -> None:
    """Write to nowhere what would go to a terminal: it is closed, and each line an error."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode):
                os.dup2(nowhere, stream)
    os.close(nowhere)


def end_with_mlflow_run() -> None:
    """From now on, take the end of the `mlflow run` that started this process as an interruption.

    It hands no signal on when it is killed: a study would train on, and nobody would know.
    """
    parent = _mlflow_run()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent,), name="mlflow run", daemon=True).start()


def _watch(parent: object) -> None:
    while parent.is_running() and parent.status() != "zombie":  # type: ignore[attr-defined]
        time.sleep(_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _mlflow_run() -> object | None:
    """The process that runs this one for `mlflow run`, across the shells in between; None if none.

    Anybody may have exported MLFLOW_RUN_ID in a shell; one in which somebody types is none of them.
    """
    import psutil

    with suppress(psutil.Error):
        for process in psutil.Process().parents():
            arguments = process.cmdline()
            if process.name() in _SHELLS and "-c" in arguments:
                continue
            names = [Path(argument).name for argument in arguments[:3]]
            return process if any(n.startswith(("python", "mlflow")) for n in names) else None
    return None
