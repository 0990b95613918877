"""What holds for every test of the API server: no reconcile of a controller meets a fault of ours unseen."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from resource_api.controllers.queue import FAULT_TEXT


class _Faults(logging.Handler):
    """Keeps what a work queue says of faults."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == FAULT_TEXT:
            self.records.append(record)


@pytest.fixture(autouse=True)
def reconcile_faults() -> Iterator[list[logging.LogRecord]]:
    """Faults in reconciles, which end no server. A test that makes some must look at them and clear the list."""
    handler = _Faults()
    logger = logging.getLogger("resource_api.controllers")
    logger.addHandler(handler)
    yield handler.records
    logger.removeHandler(handler)
    assert not handler.records, [(record.fields, record.exc_info) for record in handler.records]  # type: ignore[attr-defined]
