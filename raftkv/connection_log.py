"""What aiohttp says of an HTTP/1.1 connection, as both servers want it in their logs.

Imports aiohttp when it is called and not before: that costs 110 ms, and only who has imported aiohttp has a use for this.
"""

from __future__ import annotations

import asyncio
import logging


def connection_log(name: str) -> logging.Logger:
    """The logger of that name, for aiohttp: a client's faults are no errors of ours, and its bytes do not fill our log.

    Faults of clients and their departures become one line at DEBUG, without traceback; all else stays as it is.
    """
    from aiohttp.http_exceptions import HttpProcessingError

    logger = logging.getLogger(name)

    def soften(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError | ConnectionError | asyncio.CancelledError | TimeoutError):
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
            record.msg, record.args, record.exc_info = f"{type(error).__name__} at an HTTP/1.1 connection", (), None
            return logger.isEnabledFor(logging.DEBUG)
        return True

    logger.filters[:] = [soften]
    return logger
