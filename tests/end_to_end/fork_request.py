"""How a fork server is asked for a process: a command line, a directory, an environment, files.

Run as a script it is a stand-in for ``python`` on somebody's PATH: the process that it asks for has
its arguments, directory, environment and standard streams, and it exits as that one does. It
imports nothing slow, and nothing of this project.
"""

import json
import os
import socket
import struct
import sys
from collections.abc import Mapping, Sequence

_LENGTH = struct.Struct("!Q")
_STANDARD_STREAMS = 3


def ask(
    address: str, arguments: Sequence[str], cwd: str, env: Mapping[str, str], streams: Sequence[int]
) -> tuple[socket.socket, int]:
    """Have ``python <arguments>`` started: the connection that `ended` reads, the process id."""
    content = json.dumps({"arguments": [*arguments], "cwd": cwd, "env": dict(env)}).encode()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    socket.send_fds(connection, [_LENGTH.pack(len(content))], list(streams))
    connection.sendall(content)
    (pid,) = _LENGTH.unpack(_read(connection, _LENGTH.size))
    return connection, pid


def ended(connection: socket.socket) -> int:
    """Wait for the end of a process: its exit code, or minus the signal that killed it."""
    (status,) = _LENGTH.unpack(_read(connection, _LENGTH.size))
    return os.waitstatus_to_exitcode(status)


def receive(connection: socket.socket) -> tuple[dict[str, object], list[int]]:
    """What was asked for, and the standard streams that the process is to have."""
    head, streams, _, _ = socket.recv_fds(connection, _LENGTH.size, _STANDARD_STREAMS)
    return json.loads(_read(connection, *_LENGTH.unpack(head))), streams


def answer(connection: socket.socket, number: int) -> None:
    """Tell a process id, or the status that a process ended with."""
    connection.sendall(_LENGTH.pack(number))


def _read(connection: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        part = connection.recv(length - len(found))
        if not part:
            raise EOFError("the fork server is gone")
        found += part
    return found


if __name__ == "__main__":
    _here = os.getcwd()  # noqa: PTH109 # pathlib takes longer to import than the rest
    started, _ = ask(sys.argv[1], sys.argv[2:], _here, os.environ, range(_STANDARD_STREAMS))
    code = ended(started)
    if code < 0:
        os.kill(os.getpid(), -code)
    sys.exit(code)
