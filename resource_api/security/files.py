"""Files that hold secrets: written under a temporary name, synced, renamed; readable by the owner alone, made by one process at a time."""

from __future__ import annotations

import fcntl
import os
import pathlib
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def write_private(path: pathlib.Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replaces the file in one step; its directory is made (0700) if it is missing. Whoever reads sees the old or the new content."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        pathlib.Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class FileContentError(ValueError):
    """A file holds something else than it should; the text names it, and perhaps what to do."""

    def __init__(self, text: str, *, has_advice: bool = False) -> None:
        super().__init__(text)
        self.has_advice = has_advice


@contextmanager
def content_of(*paths: str | os.PathLike[str]) -> Iterator[None]:
    """Has what is wrong with the content of files that are read in the block name them. A file that cannot be opened names itself."""
    try:
        yield
    except FileContentError:
        raise
    except (ValueError, ssl.SSLError) as error:
        named = " with ".join(os.fspath(path) for path in paths)
        raise FileContentError(f"{named}: {error}") from error


@contextmanager
def alone_in(directory: pathlib.Path) -> Iterator[None]:
    """Waits until no other process or thread is in such a block for this directory, which is made (0700) if it is missing."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The directory itself is locked: it may be read-only when all is there.
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
