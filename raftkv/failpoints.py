"""Named places where a member can be made to stop, to wait, or to see an error: etcd's gofail points, by etcd's names.

Owns the table of what is switched on (`FAILPOINTS`, empty in every ordinary life of a member), the table of places
(`PLACES`), and the language in which it is said what a place does:

    walBeforeSync=panic;raftBeforeSave=sleep(10)          as RAFTKV_FAILPOINTS says it
    30%panic     3*sleep("1s")     2*print->error(EIO)    one time in three; three times; one after the other

Actions: `panic` ends the process at once, without any clean-up; `sleep(ms)` or `sleep("1s")`; `pause` until it is switched
off; `return`, `return(5)`, `return("text")` hands a value to the places that take one; `error`, `error(ENOSPC)` raises
OSError; `print` only logs and counts; `off`. A place on the loop that sleeps or pauses holds the whole member.

A place is looked up once a batch and never once a request, and reads `if FAILPOINTS: hit("name")`: one global and its truth
while nothing is switched on. What a process does is in `Effects`, so that a simulator has virtual time instead. Any thread.
Source: go.etcd.io/gofail (runtime/terms.go), etcd's own comments; docs/FAILPOINTS.md says where each stands.
"""

from __future__ import annotations

import errno
import logging
import os
import random
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from raftkv.errors import ConfigError

log = logging.getLogger("raftkv.failpoints")

PLACES: dict[str, str] = {
    "raftBeforeSave": "log thread, before a batch is appended to the log",
    "raftAfterSave": "log thread, after it was appended and synced",
    "walBeforeSync": "log thread, between the write of records and their sync",
    "walAfterSync": "log thread, after the sync",
    "raftBeforeSaveSnap": "log thread, before a received snapshot is marked in the log",
    "raftAfterSaveSnap": "log thread, after it was marked; its store is not in place yet",
    "raftBeforeApplySnap": "store thread, before the received store replaces the old one",
    "raftAfterApplySnap": "store thread, after it did, durably",
    "applyBeforeOpenSnapshot": "store thread, before the received store is opened",
    "applyAfterOpenSnapshot": "store thread, after it was opened and its index read",
    "raftBeforeWALSaveSnapshot": "log thread, before a mark is written, of an own snapshot or of a received one",
    "raftAfterWALRelease": "log thread, after segments below a snapshot were removed",
    "raftBeforeLeaderSend": "loop, before a leader's messages are queued",
    "raftBeforeFollowerSend": "loop, before messages that waited for the log are queued by a member that does not lead",
    "raftBeforeAdvance": "loop, before consensus is told that writes are durable",
    "raftDropHeartbeat": "loop, when a batch of messages is queued; `return` drops the heartbeats among them",
    "beforeApplyOneEntryNormal": "loop, before a slice of up to 32 committed entries is applied",
    "beforeApplyOneConfChange": "loop, before a configuration change is applied",
    "afterIsMemberExist": "loop, when a member is added, after it was looked for among those there are",
    "beforePublishing": "loop, before a member proposes its own name and URLs",
    "commitBeforePreCommitHook": "loop, after a slice was applied, before the applied index is noted beside it",
    "commitAfterPreCommitHook": "loop, after it was noted",
    "beforeCommit": "store thread, before a commit",
    "afterCommit": "store thread, after it",
    "beforeStartDBTxn": "store thread, before LMDB's transaction of a commit begins",
    "afterStartDBTxn": "store thread, after it began",
    "beforeWritebackBuf": "loop, after a commit, before what it holds leaves the buffers",
    "afterWritebackBuf": "loop, after it left them",
    "compactBeforeCommitScheduledCompact": "loop, before the mark of a compaction that begins is written",
    "compactAfterCommitScheduledCompact": "loop, after it was written",
    "compactAfterAcquiredBatchTxLock": "loop, before a slice of a compaction deletes",
    "compactBeforeCommitBatch": "loop, after a slice deleted, when more are to come",
    "compactAfterCommitBatch": "loop, before the pause between two slices",
    "compactBeforeSetFinishedCompact": "loop, before the mark of a compaction that is done is written",
    "compactAfterSetFinishedCompact": "loop, after it was written",
    "beforeMoveVictims": "loop, before watchers whose client reads again go on",
    "beforeSyncWatchers": "loop, before a slice of history is read for watchers that lag",
    "beforeProgressIfSync": "loop, before a progress request is answered or put off",
    "beforeSendWatchResponse": "loop, before the events of a batch are handed to the streams",
    "beforeRangeStreamChunk": "loop, before a chunk of a streamed range is read",
    "beforeServeHTTPLeaseRenew": "loop, before a keepalive that another member passed on is served",
    "beforeLookupWhenLeaseTimeToLive": "loop, at the leader, before a lease is looked up",
    "beforeLookupWhenForwardLeaseTimeToLive": "loop, at the leader, before a lease is looked up for another member",
}
"""Every place there is, and what is about to happen there."""

PAUSE_LOOK_S = 0.01
"""How often a paused place looks whether it was switched off."""

_TERM = re.compile(
    r"(?P<mods>(?:\d+(?:\.\d+)?%|\d+\*)*)(?P<action>off|panic|sleep|pause|return|error|print)(?:\((?P<value>\"[^\"]*\"|[^\"()]*)\))?(?:->|$)"
)
_MOD = re.compile(r"(\d+(?:\.\d+)?)%|(\d+)\*")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}

Value = bool | int | float | str


class Effects(Protocol):
    """What a place does to the process it is in."""

    def sleep(self, duration_s: float) -> None:
        """Holds the caller for so long."""

    def pause(self, is_over: Callable[[], bool]) -> None:
        """Holds the caller until it is over."""

    def panic(self, name: str) -> None:
        """Ends the process here; does not return."""

    def draw(self) -> float:
        """A random number of [0, 1)."""

    def is_meant(self) -> bool:
        """Whether it is the process that runs now in which places act; a simulator has several."""


class ProcessEffects:
    """A real process: its thread sleeps, and a panic is `_exit`: nothing is flushed, no handler runs."""

    def __init__(self, rng: random.Random) -> None:
        self._random = rng

    def sleep(self, duration_s: float) -> None:
        """See `Effects`."""
        time.sleep(duration_s)

    def pause(self, is_over: Callable[[], bool]) -> None:
        """See `Effects`."""
        while not is_over():
            time.sleep(PAUSE_LOOK_S)

    def panic(self, name: str) -> None:
        """See `Effects`. Status 2, as a Go program that panics."""
        sys.stderr.write(f"panic: failpoint {name}\n")
        sys.stderr.flush()
        os._exit(2)

    def draw(self) -> float:
        """See `Effects`."""
        return self._random.random()

    def is_meant(self) -> bool:
        """See `Effects`."""
        return True


class _Term(NamedTuple):
    action: str
    value: Value
    probability: float
    count_max: int
    """0: no bound."""


class Failpoint:
    """One place that is switched on. Invariant: `hits` counts what was done there, not how often it was passed."""

    def __init__(self, name: str, text: str, effects: Effects) -> None:
        self.name = name
        self.text = text
        self.hits = 0
        self._terms = _parse(text)
        self._done = [0] * len(self._terms)
        self.effects = effects
        self._lock = threading.Lock()

    def act(self) -> Value | None:
        """Does what is due; the value of a `return`."""
        term = self._next()
        if term is None:
            return None
        log.info("failpoint", extra={"fields": {"name": self.name, "action": term.action}})
        match term.action:
            case "panic":
                self.effects.panic(self.name)
            case "sleep":
                assert isinstance(term.value, float | int)
                self.effects.sleep(term.value)
            case "pause":
                self.effects.pause(lambda: FAILPOINTS.get(self.name) is not self)
            case "error":
                assert isinstance(term.value, int)
                raise OSError(term.value, f"{os.strerror(term.value)} (injected)", self.name)
            case "return":
                return term.value
        return None

    def _next(self) -> _Term | None:
        """The first term whose count and chance allow it."""
        with self._lock:
            for position, term in enumerate(self._terms):
                if term.count_max and self._done[position] >= term.count_max:
                    continue
                if term.probability < 1 and self.effects.draw() >= term.probability:
                    continue
                self._done[position] += 1
                if term.action == "off":
                    return None
                self.hits += 1
                return term
        return None


FAILPOINTS: dict[str, Failpoint] = {}
"""What is switched on, by name. Places ask for its truth before they call `hit`."""


def hit(name: str) -> Value | None:
    """Does what is switched on at the place, if anything; the value of a `return`. Raises OSError where `error` says so."""
    found = FAILPOINTS.get(name)
    return None if found is None or not found.effects.is_meant() else found.act()


def switch_on(name: str, text: str, effects: Effects) -> None:
    """Has a place do what the text says from now on. Raises ConfigError for a name or a text that is none."""
    if name not in PLACES:
        raise ConfigError(f"there is no failpoint {name!r}")
    FAILPOINTS[name] = Failpoint(name, text, effects)


def switch_on_all(text: str, effects: Effects) -> None:
    """`name=text` separated by semicolons; all of them or none. Raises ConfigError."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, what = part.partition("=")
        if not equals:
            raise ConfigError(f"failpoint {part!r} does not say what to do: name=action")
        found[name.strip()] = what.strip()
    before = dict(FAILPOINTS)
    try:
        for name, what in found.items():
            switch_on(name, what, effects)
    except ConfigError:
        FAILPOINTS.clear()
        FAILPOINTS.update(before)
        raise


def switch_off(name: str) -> bool:
    """The place does nothing any more, and what is paused there goes on; False when it did nothing before."""
    return FAILPOINTS.pop(name, None) is not None


def _parse(text: str) -> list[_Term]:
    terms: list[_Term] = []
    position = 0
    while position < len(text) or not terms:
        match = _TERM.match(text, position)
        if match is None:
            raise ConfigError(f"failpoint action {text!r} is not understood from {text[position:]!r} on")
        probability, count_max = 1.0, 0
        for percent, count in _MOD.findall(match["mods"]):
            if percent:
                probability = float(percent) / 100
            else:
                count_max = int(count)
        terms.append(_Term(match["action"], _value(match["action"], match["value"] or ""), probability, count_max))
        position = match.end()
    if text.endswith("->"):
        raise ConfigError(f"failpoint action {text!r} ends where another one should follow")
    return terms


def _value(action: str, text: str) -> Value:
    bare = text.strip('"')
    if action == "sleep":
        return _seconds(bare)
    if action == "error":
        number = getattr(errno, bare or "EIO", None)
        if not isinstance(number, int):
            raise ConfigError(f"failpoint error {bare!r} is no name of an error")
        return number
    if action != "return" and text:
        raise ConfigError(f"failpoint action {action!r} takes no value")
    if text.startswith('"'):
        return bare
    if text in ("", "true", "false"):
        return text != "false"
    if not text.lstrip("-").isdigit():
        raise ConfigError(f"failpoint value {text!r} is neither a number, true, false nor text in quotes")
    return int(text)


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is not None:
        return float(match[1]) * _SECONDS[match[2]]
    if not text.isdigit():
        raise ConfigError(f"failpoint sleep {text!r} is neither milliseconds nor a duration such as 1.5s")
    return int(text) / 1000
