"""Runs one case of a transcript, by raftctl inside this process or by a program of its own."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.client.servers import Server
from tests.raftctl.transcript import Case, Names

STOP_TIMEOUT_S = 60.0
LIMIT_S = 60
QUIET_S = 1.0


def raftctl_command() -> list[str]:
    """raftctl as a process."""
    return [sys.executable, "-m", "raftctl"]


def _environment(case: Case, names: Names, program: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ETCDCTL_", "RAFTCTL_"))}
    return clean | {"ETCDCTL_API": "3"} | {name: names.insert(value) for name, value in case.environment.items()}


def _words(case: Case, names: Names, server: Server) -> list[str]:
    words = [names.insert(word) for word in case.words]
    if "ETCDCTL_ENDPOINTS" in case.environment or any(word.startswith("--endpoints") for word in words):
        return words
    return [f"--endpoints={server.endpoint}", *words]


def run_inside(case: Case, names: Names, server: Server) -> tuple[str, str, int]:
    """raftctl's main function, in this process: some ten milliseconds."""
    from raftctl.main import run

    stdout, stderr = io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape"), io.StringIO()
    with _limited(case), _replaced(stdout, stderr, case.stdin), _as_environment(_environment(case, names, "raftctl")):
        status = run(_words(case, names, server))
    stdout.flush()
    buffer = stdout.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode("utf-8", "backslashreplace"), stderr.getvalue(), status


@contextlib.contextmanager
def _limited(case: Case) -> Iterator[None]:
    """Ends what does not end: a watch waits for its server for ever, also for one that a bug has killed."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"did not end: {shown(case)}")

    kept = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, kept)


@contextlib.contextmanager
def _replaced(stdout: io.TextIOWrapper, stderr: io.StringIO, stdin: bytes) -> Iterator[None]:
    kept = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            yield
    finally:
        sys.stdin = kept


@contextlib.contextmanager
def _as_environment(environment: dict[str, str]) -> Iterator[None]:
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def run_outside(program: list[str], case: Case, names: Names, server: Server, *, expected: str | None = None) -> tuple[str, str, int]:
    """A program of its own.

    Args:
        program: its first words.
        case: what to run.
        names: for the words.
        server: whom to talk to.
        expected: for an endless case: what standard output will hold before it is stopped; unknown, it is stopped when quiet.
    """
    process = subprocess.Popen(
        [*program, *_words(case, names, server)],
        env=_environment(case, names, program[0]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if not case.endless:
        out, err = process.communicate(case.stdin, timeout=LIMIT_S)
        return out.decode("utf-8", "backslashreplace"), err.decode("utf-8", "backslashreplace"), process.returncode
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(case.stdin)
    process.stdin.flush()
    out = _read_until(process.stdout.fileno(), None if expected is None else expected.count("\n"))
    process.send_signal(signal.SIGKILL)
    with process:
        _, err = process.communicate(timeout=LIMIT_S)
    return out.decode("utf-8", "backslashreplace"), err.decode("utf-8", "backslashreplace"), 0


def _read_until(descriptor: int, lines: int | None) -> bytes:
    """What a process prints, until it has so many lines; unknown how many, until it is quiet."""
    os.set_blocking(descriptor, False)
    data, quiet_since_s, started_s = b"", time.monotonic(), time.monotonic()
    while time.monotonic() - started_s < STOP_TIMEOUT_S:
        with contextlib.suppress(BlockingIOError):
            if chunk := os.read(descriptor, 65536):
                data += chunk
                quiet_since_s = time.monotonic()
        if data.count(b"\n") >= lines if lines is not None else time.monotonic() - quiet_since_s > QUIET_S:
            return data
        time.sleep(0.005)  # A process of its own shares no clock with the test.
    return data


def shown(case: Case) -> str:
    """The command line, for messages."""
    return shlex.join(case.words)
