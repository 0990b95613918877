"""Files of JSON lines as they are read: unpacked, decoded, and refused with the place of what is no text or no JSON.

Knows nothing of what the lines mean (`history`).
"""

from __future__ import annotations

import gzip
import json
import pathlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

PACKED = ".gz"


class UnreadableError(ValueError):
    """The file cannot be unpacked or holds no text; the text names it, and the line where there is one."""


@contextmanager
def opened(path: pathlib.Path) -> Iterator[IO[str]]:
    """The text of a file; a name that ends in .gz is unpacked.

    Raises:
        UnreadableError: from within the block, too, since files are read as they are used.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == PACKED else path.open(encoding="utf-8") as stream:
            yield stream
    except (gzip.BadGzipFile, EOFError, zlib.error) as exc:
        raise UnreadableError(f"{path} cannot be unpacked: {exc}") from exc
    except UnicodeDecodeError as exc:
        raise UnreadableError(f"{path}, line {_first_undecodable(path)}: not UTF-8: {exc.reason}") from exc


def _first_undecodable(path: pathlib.Path) -> int:
    """The number of a line; a text is decoded in blocks, whose errors do not know it."""
    with gzip.open(path) if path.suffix == PACKED else path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 0


def decoded(line: str) -> Any:
    """What a line of JSON holds.

    Raises:
        ValueError: it is none; what Python calls JSON and nobody else does, such as NaN, is refused as well.
    """
    try:
        data = _DECODER.decode(line)
        if "\\u" in line:
            _refuse_halves(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return data


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _refuse_halves(data: object) -> None:
    """Halves of a character, which JSON can name and no file or terminal takes."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        raise ValueError(f"a text holds {exc.object[exc.start]!r}, which is half a character") from exc
