"""How often a running member met a bug of its own; every test that talks to one requires it never did."""

from __future__ import annotations

import re
import urllib.request

TIMEOUT_S = 10.0

_SERIES = re.compile(r"^raftkv_internal_errors_total\{[^}]*\} (\S+)$", re.MULTILINE)


def internal_errors(endpoint: str) -> int:
    """All boundaries together, as the member at host:port counts them."""
    with urllib.request.urlopen(f"http://{endpoint}/metrics", timeout=TIMEOUT_S) as answer:
        counted = _SERIES.findall(answer.read().decode())
    assert counted, "the member no longer counts them under this name"
    return int(sum(map(float, counted)))
