"""What the command says on standard output and standard error, and what it means when they take no more.

A reader that goes away ends a command as the signal would that Python ignores for it; anything else, such as a full disk, is a failure
of the harness, never of the store or of the machine's equipment.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator

FAILED = 5
"""The exit status of a harness that could not do its work."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a disk says that takes no more."""


class HarnessError(Exception):
    """The harness could not do its work; the text tells all that there is to tell of it."""


class OutputError(Exception):
    """Standard output takes no more; the text is the system's reason."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"standard output cannot be written: {cause.strerror or cause}")
        self.unread = cause.errno == errno.EPIPE
        """Nobody reads it any more: there is nobody to tell, either."""

    @property
    def status(self) -> int:
        """The exit status it ends with."""
        return 128 + signal.SIGPIPE if self.unread else FAILED


def say(text: str, *, nl: bool = True) -> None:
    """To standard output.

    Raises:
        OutputError: it takes no more.
    """
    with written():
        print(text, end="\n" if nl else "", flush=True)


@contextlib.contextmanager
def written() -> Iterator[None]:
    """For a block in which somebody else writes to standard output and nothing else is done with files."""
    try:
        yield
    except OSError as exc:
        raise OutputError(exc) from exc


def tell(text: str) -> None:
    """To standard error; where it takes nothing, the exit status has to do."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def settle() -> None:
    """Drops what the streams still hold and nobody takes: Python would try again at its end, and give it a status of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
