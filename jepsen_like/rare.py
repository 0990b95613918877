"""Rare states that members of a real run say in their logs that they have met: marks for the report.

The simulator counts such states where they are; of a real process only its log is seen. Owns the texts to look for, which a test
holds to the servers' sources. Of raftkv alone: another server has other words.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping

RARE: Mapping[str, str] = {
    "leader_lost": "lost leader",
    "leadership_not_handed_over": "leadership could not be handed over in time",
    "log_disk_does_not_answer": "the log's disk does not answer; leadership is handed over",
    "peer_connection_refused": "refused a peer connection",
    "snapshot_applied": "applied database snapshot",
    "snapshot_not_received": "failed to receive database snapshot",
    "snapshot_not_sent": "failed to send database snapshot",
    "stopped_by_an_error": "the member stops",
    "torn_tail_cut_off": "cut off a torn tail of the log",
}
"""Name -> the message of the log line."""

FAILPOINT = "failpoint"
"""The message of a place that acted; its name is a field."""


def met(lines: Iterable[str]) -> dict[str, int]:
    """How often each state stands in these lines of logs; what is no line of a log is passed over."""
    names = {text: name for name, text in RARE.items()}
    count: Counter[str] = Counter()
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            # A process that was killed wrote half a line, or an interpreter its own words.
            continue
        message = record.get("msg") if isinstance(record, dict) else None
        if message == FAILPOINT:
            count[f"failpoint {record.get('name', '')}"] += 1
        elif message in names:
            count[names[message]] += 1
    return dict(sorted(count.items()))
