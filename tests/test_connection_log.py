"""What aiohttp complains of, softened where it is the client's fault."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohttp.http_exceptions import BadStatusLine

from raftkv.connection_log import connection_log


def said(caplog, error: BaseException, level: int) -> list[tuple[str, str, bool]]:
    """Level, text and whether there is a traceback, of what a failed connection leaves in a log of that level."""
    log = connection_log("tests.connections")
    caplog.set_level(level, log.name)
    try:
        raise error
    except BaseException as caught:
        log.error("Error handling request from %s", "somewhere", exc_info=caught)
    return [(one.levelname, one.getMessage(), bool(one.exc_info)) for one in caplog.records]


@pytest.mark.parametrize("error", [BadStatusLine("\x00secret"), ConnectionResetError(), asyncio.CancelledError(), TimeoutError()])
def test_fault_of_a_client_is_a_line_at_debug(caplog, error):
    """Its bytes are not in it; a log at INFO has no such line."""
    assert said(caplog, error, logging.INFO) == []
    assert said(caplog, error, logging.DEBUG) == [("DEBUG", f"{type(error).__name__} at an HTTP/1.1 connection", False)]


def test_fault_of_ours_stays_an_error(caplog):
    """With its traceback."""
    assert said(caplog, KeyError("ours"), logging.INFO) == [("ERROR", "Error handling request from somewhere", True)]
