"""Watch guarantees: every watcher's responses held against the changes the run is known to have made.

Owns what one watcher may be sent. Nothing but the history is needed: what one client was told or one watcher shown, every
watcher of that key must be shown too (`changes`). How fast is not promised, so nothing is held against a watcher beyond what
it was last shown or promised by a progress notification. Source: spec/faults.md §5a W1-W10, etcd tests/robustness/validate.

| kind | the rule it breaks |
|---|---|
| watch-ordered | events come in order of revision, those of one revision in the order of the transaction's steps |
| watch-unique | an event comes once |
| watch-atomic | all events of one revision come in one response, fragments put together |
| watch-reliable | between the first and the last shown nothing is left out |
| watch-resumable | the first event is the first there is from the start revision on, and none is older, future starts included |
| watch-bookmarkable | a progress notification comes after every event up to its revision, and never goes back |
| watch-filter | only keys of the range and types not filtered out |
| watch-prev-kv | the previous record is the one before, and is there unless compacted |
| watch-is-create | exactly a key's first put since it was absent is a creation |
| watch-cancel | a compacted watcher gets the compact revision, only if it needed something older; nothing follows |
| watch-created | the created response is the first and the only one |
| watch-fragment | the pieces of one response follow each other |
| watch-header | no event is newer than its response's header |
| watch-wrong-event, watch-divergent | what is shown is what was written, and the same to all |
| watch-stalled | a watch that stays open is shown everything in the end, without being made anew |
| watch-phantom, watch-early | what is shown was asked for, and not only later |

A lost stream is recorded as a cancelled response with its reason, so that a resumed watch is a new `Watch`.

Hot path: `_Watcher.check_events` and `Changes.see`, about 10 µs an event in all on CPython 3.11 (`tests/jepsen_like/bench_watchers.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from jepsen_like.checker.changes import Change, Changes, check_chains, deleted_ranges, told, values_tried
from jepsen_like.checker.placement import covers
from jepsen_like.checker.verdict import Findings, Verdict
from jepsen_like.history import OK, Event, History, KeyValue, Operation, Watch, WatchResponse

OTHER_WRITES = frozenset({"append", "add", "revoke", "acquire", "release", "guarded"})
"""Calls that change keys the history does not name."""


class Batch(NamedTuple):
    """One response put together of its fragments."""

    response: WatchResponse
    """Its last piece."""

    events: tuple[Event, ...]
    whole: bool = True
    """False: the stream ended before its last piece."""


def check(
    history: History,
    *,
    initial: Mapping[str, KeyValue] | None = None,
    closed: bool = True,
    unique_revisions: bool = False,
    awaited: Mapping[int, int] | None = None,
    kept: Collection[int] = (),
) -> Verdict:
    """Whether the watchers of the history were kept every promise.

    Args:
        history: its operations, watches and responses; revisions of writes and records in reads count as seen.
        initial: what the store held before; empty when left out.
        closed: nobody else wrote, so an event that no call can have made is an anomaly; not held against a history with
            leases or with calls whose keys it does not name.
        unique_revisions: each revision changes one key, as in Kubernetes' use.
        awaited: watch -> revision its reader waited for at the end; one that did not get there leaves the verdict unknown.
        kept: of the awaited ones those that stayed open until they were there, or for as long as the reader waited, on a
            connection that gave signs of life: one that did not get there is an anomaly.
    """
    findings = Findings()
    changes = Changes(history.operations, initial or {}, findings)
    watchers = _watchers(history, findings)
    for watcher in watchers:
        for batch in watcher.batches:
            for event in batch.events:
                changes.see(event, batch.response)
    changes.settle()
    for watcher in watchers:
        watcher.check_events(changes)
        watcher.check_missing(changes)
        watcher.check_counts(changes)
        watcher.check_cancel(changes, asked=_compactions(history.operations) if closed else {})
    _check_chains(changes, watchers, findings)
    _check_orders(changes, watchers, findings)
    if closed and not any(operation.lease or operation.f in OTHER_WRITES for operation in history.operations):
        _check_phantoms(history.operations, watchers, initial or {}, findings)
    if unique_revisions:
        _check_unique_revisions(changes, findings)
    _check_reached(history, watchers, awaited or {}, kept, findings)
    return findings.verdict(len(history.responses))


class _Watcher:
    """One watch with what it was sent. Invariant: nothing known in `first`..`last` may be missing from its events."""

    def __init__(self, watch: Watch, batches: Sequence[Batch], findings: Findings) -> None:
        self.watch = watch
        self.batches = batches
        self._findings = findings
        created = next((batch.response for batch in batches if batch.response.created), None)
        self.first = watch.start_revision or (created.revision + 1 if created is not None else 0)
        self.last = 0
        self._shown: dict[tuple[int, str], Batch] = {}
        for batch in batches:
            if batch.events:
                self.last = max(self.last, max(event[1][3] for event in batch.events) - (not batch.whole))
            elif _is_progress(batch.response):
                self.last = max(self.last, batch.response.revision)
        if not self.first:
            self.last = 0

    def covers(self, revision: int, key: str, put: bool) -> bool:
        """Whether the watcher must have been shown a change if there was one."""
        return self.first <= revision <= self.last and self.wants(key, put)

    def wants(self, key: str, put: bool) -> bool:
        """Whether the watch asks for such changes."""
        watch = self.watch
        return covers(watch.key, watch.range_end, key) and ("noput" if put else "nodelete") not in watch.filters

    def check_events(self, changes: Changes) -> None:
        """Order, uniqueness, atomicity, start, bookmarks, filters and the contents of every event."""
        shown = self._shown
        known = changes.known
        made = changes.made
        newest = bookmark = 0
        for batch in self.batches:
            response = batch.response
            if not batch.events:
                if _is_progress(response):
                    if response.revision < bookmark:
                        text = f"a progress notification went back from revision {bookmark} to {response.revision}"
                        self._add("watch-bookmarkable", text, response)
                    self._check_bookmark(changes, max(newest, bookmark), response)
                    bookmark = max(bookmark, response.revision)
                continue
            before = newest
            for event in batch.events:
                kv = event[1]
                revision, key, put = kv[3], kv[0], event[0] == "put"
                if not self.wants(key, put):
                    self._add("watch-filter", f"shown {_named(event)}, which it did not ask for", response)
                if (revision, key) in shown:
                    self._add("watch-unique", f"shown {_named(event)} twice", response, shown[revision, key].response)
                elif revision < newest:
                    self._add("watch-ordered", f"shown {_named(event)} after revision {newest}", response)
                elif revision == before:
                    self._add("watch-atomic", f"shown {_named(event)} in another response than the rest of its revision", response)
                if revision < self.first:
                    self._add("watch-resumable", f"shown {_named(event)}, older than its start revision {self.first}", response)
                if revision <= bookmark:
                    text = f"shown {_named(event)} after a progress notification of revision {bookmark}"
                    self._add("watch-bookmarkable", text, response)
                if 0 < response[2] < revision:
                    self._add("watch-header", f"shown {_named(event)} in a response of revision {response[2]}", response)
                maker = made.get(revision)
                if maker is not None and maker[5] > response[1]:
                    text = f"shown {_named(event)} before the call that made it: {maker.f} {maker.key!r}"
                    self._add("watch-early", text, response, maker)
                self._check_past(changes, event, known.get((revision, key)), response)
                shown[revision, key] = batch
                if revision > newest:
                    newest = revision

    def check_missing(self, changes: Changes) -> None:
        """Everything known between first and last was shown."""
        watch = self.watch
        if not self.first:
            return
        shown = self._shown
        revisions = {revision for revision, _key in shown}
        oldest = min(revisions, default=self.last + 1)
        for change in changes.within(self.first, self.last, watch.key, watch.range_end):
            if (change[0], change[1]) in shown or not self.wants(change.key, change.put):
                continue
            revision = change.revision
            kind = "watch-atomic" if revision in revisions else "watch-resumable" if revision < oldest else "watch-reliable"
            there = "though it was shown others of that revision" if revision in revisions else f"though it was shown up to {self.last}"
            self._findings.add(
                kind,
                f"{self._name()} was never shown {told(change)} of revision {revision}, {there}",
                (watch, *((change.source,) if change.source is not None else ()), *self._beyond(revision)),
                (change.key,),
            )

    def check_counts(self, changes: Changes) -> None:
        """A delete of a range that says how many keys it removed."""
        watch = self.watch
        if "nodelete" in watch.filters or not watch.range_end:
            return
        for revision, maker in changes.made.items():
            if not self.first <= revision <= self.last or maker.f != "delete" or not maker.argument:
                continue
            ended = watch.range_end == "\0" or (maker.argument != "\0" and maker.argument <= watch.range_end)
            if watch.key > maker.key or not ended:
                continue
            seen = sum(1 for change in changes.within(revision, revision, watch.key, watch.range_end) if not change.put)
            if seen != maker.result:
                text = f"{self._name()} was shown {seen} of the {maker.result} deletes of revision {revision}"
                self._findings.add("watch-atomic", text, (watch, maker))

    def check_cancel(self, changes: Changes, asked: Mapping[int, int]) -> None:
        """A cancelled watcher knows why, and had a reason; `asked` maps compacted revisions to when they were asked for."""
        newest = 0
        for batch in self.batches:
            response = batch.response
            newest = max([newest, *(event[1][3] for event in batch.events)])
            compacted = response.compact_revision
            if compacted and not response.cancelled:
                self._add("watch-cancel", f"told the compact revision {compacted} without being cancelled", response)
            elif compacted:
                needed = max(self.first, newest + 1)
                if self.first and compacted <= needed:
                    text = f"cancelled as compacted at {compacted}, though it needed nothing below {needed}"
                    self._add("watch-cancel", text, response)
                elif asked and asked.get(compacted, response.time_ns) >= response.time_ns:
                    text = f"cancelled as compacted at {compacted}, to which nobody had asked to compact"
                    self._add("watch-cancel", text, response)
            elif response.cancelled and "compacted" in response.reason:
                self._add("watch-cancel", "cancelled as compacted without a compact revision", response)

    def _check_past(self, changes: Changes, event: Event, known: Change | None, response: WatchResponse) -> None:
        """The previous record and the creation flag."""
        kind, kv, previous, is_create = event
        put = kind == "put"
        if not put and (kv[1] or kv[2] or kv[4] or kv[5]):
            text = f"shown {_named(event)} with more than its key and revision: {kv[1]!r} (created {kv[2]}, version {kv[4]}, lease {kv[5]})"
            self._add("watch-wrong-event", text, response)
        if put and not (kv[2] and kv[4]):
            self._add("watch-wrong-event", f"shown {_named(event)} with create revision {kv[2]} and version {kv[4]}", response)
        if is_create != (put and kv[2] == kv[3]):
            text = f"shown {_named(event)} as {'a' if is_create else 'no'} creation, with create revision {kv[2]}"
            self._add("watch-is-create", text, response)
        if not self.watch.prev_kv:
            if previous is not None:
                self._add("watch-prev-kv", f"shown {_named(event)} with a previous record it did not ask for", response)
            return
        if previous is None:
            if (not put or kv[4] > 1) and changes.compacted_by(response.time_ns) < kv[3]:
                self._add("watch-prev-kv", f"shown {_named(event)} without the previous record", response)
            return
        before = changes.before(kv[0], kv[3])
        follows = (previous[2], previous[4] + 1) == (kv[2], kv[4]) if put else _fits(previous, before)
        if not follows or before is None or not before.put or before.revision != previous[3] or before.value != previous[1]:
            text = f"shown {_named(event)} with previous record {previous[1]!r} of revision {previous[3]}; before it was {told(before)}"
            self._add("watch-prev-kv", text, response)

    def _check_bookmark(self, changes: Changes, newest: int, response: WatchResponse) -> None:
        """Everything known above `newest`, up to the notification, was shown before it."""
        if not self.first or response.revision < self.first:
            return
        watch = self.watch
        for change in changes.within(max(self.first, newest + 1), response.revision, watch.key, watch.range_end):
            if (change[0], change[1]) not in self._shown and self.wants(change.key, change.put):
                text = f"promised everything up to revision {response.revision} before it was shown {told(change)} of {change.revision}"
                self._add("watch-bookmarkable", text, response, *((change.source,) if change.source is not None else ()))
                return

    def _beyond(self, revision: int) -> tuple[WatchResponse, ...]:
        """The first response that shows, or promises, that the watcher was past the revision."""
        for batch in self.batches:
            if any(event[1][3] >= revision for event in batch.events) or (
                _is_progress(batch.response) and batch.response.revision >= revision
            ):
                return (batch.response,)
        return ()

    def _name(self) -> str:
        watch = self.watch
        keys = f"{watch.key!r}..{watch.range_end!r}" if watch.range_end else repr(watch.key)
        return f"watch {watch.watch} of {keys} on {watch.member or 'any member'}"

    def _add(self, kind: str, text: str, *records: WatchResponse | Operation | Watch | tuple[object, ...]) -> None:
        self._findings.add(kind, f"{self._name()} was {text}", (self.watch, *records))  # type: ignore[arg-type]


def _fits(previous: KeyValue, before: Change | None) -> bool:
    """Whether a record can be what a delete took: it fits itself, and what is known of it."""
    create, revision, version = previous[2], previous[3], previous[4]
    if before is not None and before.version and (create, version) != (before.create, before.version):
        return False
    return 0 < create <= revision and (version == 1) == (create == revision) and 1 <= version <= revision - create + 1


def _is_progress(response: WatchResponse) -> bool:
    return not (response.events or response.created or response.cancelled or response.fragment)


def _named(event: Event) -> str:
    kind, kv = event[0], event[1]
    return f"{kind} {kv.key!r} of revision {kv.mod_revision}"


def _compactions(operations: Sequence[Operation]) -> dict[int, int]:
    """Revision -> when a compaction to it was first asked for."""
    asked: dict[int, int] = {}
    for operation in operations:
        if operation.f == "compact":
            asked[operation.argument] = min(asked.get(operation.argument, operation.invoke_ns), operation.invoke_ns)
    return asked


def _watchers(history: History, findings: Findings) -> list[_Watcher]:
    responses: dict[int, list[WatchResponse]] = {watch.watch: [] for watch in history.watches}
    for response in history.responses:
        responses[response.watch].append(response)
    return [_Watcher(watch, _batches(watch, responses[watch.watch], findings), findings) for watch in history.watches]


def _batches(watch: Watch, responses: Sequence[WatchResponse], findings: Findings) -> list[Batch]:
    """Responses with their fragments put together; what breaks the order of a stream is an anomaly."""
    batches: list[Batch] = []
    pieces: list[Event] = []
    ended: WatchResponse | None = None
    for place, response in enumerate(responses):
        if ended is not None:
            text = f"watch {watch.watch} was sent a response after it had been cancelled"
            findings.add("watch-cancel", text, (watch, ended, response))
        if response.created and place:
            findings.add("watch-created", f"watch {watch.watch} was created after it had been sent something", (watch, response))
        if pieces and not response.events:
            if not response.cancelled:
                text = f"watch {watch.watch} was sent something else between the fragments of a response"
                findings.add("watch-fragment", text, (watch, response))
            batches.append(Batch(responses[place - 1], tuple(pieces), whole=False))
            pieces = []
        pieces.extend(response.events)
        if not response.fragment:
            batches.append(Batch(response, tuple(pieces)))
            pieces = []
        if response.cancelled:
            ended = response
    if pieces:
        batches.append(Batch(responses[-1], tuple(pieces), whole=False))
    return batches


def _check_chains(changes: Changes, watchers: Sequence[_Watcher], findings: Findings) -> None:
    """Changes that nobody saw, proved by versions and create revisions, fit where no watcher looked."""

    def opened(revision: int, key: str, put: bool) -> bool:
        return changes.may_hold(revision, key, put) and not any(watcher.covers(revision, key, put) for watcher in watchers)

    def missed(change: Change, before: Change | None, what: str) -> None:
        start = before.revision if before is not None else 1
        blamed = [one for one in watchers if one.wants(change.key, change.put) and one.first < change.revision and one.last > start]
        kind = "watch-reliable" if blamed and not what.startswith(("nothing", "fewer")) else "watch-wrong-event"
        text = (
            f"{told(change)} at revision {change.revision} cannot follow {told(before)} at {start}: "
            f"{what} must lie between, where {'watchers looked' if blamed else 'other writes are'}"
        )
        sources = [one.source for one in (before, change) if one is not None and one.source is not None]
        findings.add(kind, text, (*sources, *(one.watch for one in blamed[:2])), (change.key,))

    check_chains(changes, opened, missed)


def _check_orders(changes: Changes, watchers: Sequence[_Watcher], findings: Findings) -> None:
    """Events of one revision come in the order of the transaction's steps, and in one order to all."""
    pairs: dict[tuple[int, str, str], Watch] = {}
    for watcher in watchers:
        for batch in watcher.batches:
            events = batch.events
            for one, other in zip(events, events[1:], strict=False):
                revision, key, after = one.kv.mod_revision, one.kv.key, other.kv.key
                number = watcher.watch.watch
                if other.kv.mod_revision != revision or key == after:
                    continue
                against = pairs.get((revision, after, key))
                maker = changes.made.get(revision)
                if against is not None:
                    text = f"{key!r} came before {after!r} of revision {revision} to watch {number}, after it to another"
                    findings.add("watch-ordered", text, (watcher.watch, against), (key, after))
                elif maker is not None and _steps_disagree(maker, key, after):
                    text = f"{key!r} came before {after!r} of revision {revision} to watch {number}, against its steps"
                    findings.add("watch-ordered", text, (watcher.watch, maker), (key, after))
                pairs.setdefault((revision, key, after), watcher.watch)


def _steps_disagree(maker: Operation, key: str, after: str) -> bool:
    """Whether the write has both keys as single steps, the later one first; a deleted range goes in key order."""
    if maker.f == "delete":
        return key > after
    if maker.f != "txn" or deleted_ranges(maker):
        return False
    steps = maker.argument[1 if maker.result[0] else 2]
    places = {step[1]: place for place, step in enumerate(steps) if step[0] in ("put", "delete")}
    return key in places and after in places and places[key] > places[after]


def _check_phantoms(
    operations: Sequence[Operation], watchers: Sequence[_Watcher], initial: Mapping[str, KeyValue], findings: Findings
) -> None:
    """What watchers saw put, some call asked to put; what only failed calls asked for never happens."""
    tried = values_tried(operation for operation in operations if operation.outcome != "fail")
    tried |= {(kv.key, kv.value) for kv in initial.values()}
    reported: set[tuple[str, str]] = set()
    for watcher in watchers:
        for batch in watcher.batches:
            for event in batch.events:
                kv = event[1]
                if event[0] == "put" and (kv[0], kv[1]) not in tried and (kv[0], kv[1]) not in reported:
                    reported.add((kv[0], kv[1]))
                    text = f"watch {watcher.watch.watch} was shown {kv.key!r} = {kv.value!r}, which no call that can have happened wrote"
                    findings.add("watch-phantom", text, (watcher.watch, batch.response), (kv.key,))


def _check_reached(
    history: History, watchers: Sequence[_Watcher], awaited: Mapping[int, int], kept: Collection[int], findings: Findings
) -> None:
    """Who was waited for at the end got there, and whoever is not accounted for has an end."""
    named = {watcher.watch.watch: watcher for watcher in watchers}
    for number, revision in awaited.items():
        watcher = named.get(number)
        reached = 0 if watcher is None else watcher.last
        if reached >= revision:
            continue
        text = f"watch {number} was waited for until revision {revision} and was shown nothing beyond {reached}"
        if number in kept and watcher is not None:
            maker = next((one for one in history.operations if one.revision == revision and one.outcome == OK), None)
            proof = (watcher.watch, *((watcher.batches[-1].response,) if watcher.batches else ()), *((maker,) if maker is not None else ()))
            findings.add("watch-stalled", f"{text}, though it was open all the time", proof)
        else:
            findings.undecided(text)
    if awaited:
        for number, watcher in named.items():
            if number not in awaited and not any(batch.response.cancelled for batch in watcher.batches):
                findings.undecided(f"watch {number} has no end, and nobody waited for what it was not shown")


def _check_unique_revisions(changes: Changes, findings: Findings) -> None:
    order = changes.order
    for one, other in zip(order, order[1:], strict=False):
        if one[0] == other[0]:
            text = f"revision {one[0]} changed both {one[1]!r} and {other[1]!r}, though every write was of one key"
            findings.add("watch-unique", text, (), (one[1], other[1]))
