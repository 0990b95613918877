"""What must be true of the running members after every event.

Invariants: 1. a term has one leader; 2. applied ≤ applying ≤ min(commit, stable); 3. term, commit and applied never fall
in one process's life; 4. members that applied up to one index applied the same entry there and stand at the same revision;
5. what a message says is on its sender's disk when it leaves: its term, the vote it gives, the entries it acknowledges; 6. a
member votes once in a term, over all its lives; 7. the context of a read round is used once, over all its lives; 8. where the
store is said to be durable its backend stands; 9. nothing is applied above the commit index; 10. one snapshot is taken in at a
time. Of reads, writes and leases: see `rules`; of files: `durability`. Source: spec/faults.md §3c; Ongaro's thesis, fig. 3.2; design §4
rules 1, 4, 7, 8, 11. Looks only; costs about a microsecond an event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from jepsen_like.sim.reached import reached
from jepsen_like.sim.rules import InvariantError
from jepsen_like.sim.rules.durability import Durability
from jepsen_like.sim.rules.leases import LeaseRules
from jepsen_like.sim.rules.reads import ReadRules
from jepsen_like.sim.rules.writes import WriteRules
from raftkv.raft.messages import Message, MessageKind, ReadState, Ready, Role
from raftkv.server.bootstrap import applied_in

if TYPE_CHECKING:
    from jepsen_like.sim.cluster import SimulatedMember
    from raftkv.server.member import MemberCore
    from raftkv.storage.wal import Wal

ASKING = (MessageKind.PRE_VOTE, MessageKind.PRE_VOTE_REPLY)
"""Their term is one that is asked for."""


class Invariants:
    """Of one cluster, over all lives of its members."""

    def __init__(self) -> None:
        self.leaders: dict[int, str] = {}
        """Term -> who led it."""
        self.led_s: dict[int, float] = {}
        """Term -> since when."""
        self.on_leader: Callable[[str, int], None] = lambda host, term: None
        self._states: dict[int, tuple[int, int, str]] = {}
        """Applied index -> its entry's term, the store's revision, and who was there first."""
        self._votes: dict[tuple[int, int], int] = {}
        """Member and term -> whom it gave its vote, as far as others were told."""
        self._durability = Durability()
        self._contexts: dict[str, set[bytes]] = {}
        """Host -> contexts of its read rounds."""
        self._reads = ReadRules()
        self._writes = WriteRules()
        self._leases = LeaseRules(self.led_s)

    def attach(self, member: SimulatedMember) -> None:
        """Watches the process that runs there now."""
        life, running = member.life, member.running
        assert life is not None and running is not None
        core, host = running.core, member.host
        loop = member.cluster.loop
        node, log, applier, inside = core.node, core.node._log, core.applier, core.node._core
        store_writer, transfers = core.store_writer, core.transfers
        term = commit = applied = durable = commits = 0
        leading = 0
        self._durability.attach(member, core)
        self._watch_departures(member, core)
        self._watch_rounds(host, core)
        self._leases.attach(host, core, life)
        self._writes.attach(host, core)
        on_waiting, on_answered = self._reads.attach(host, core.reads, lambda: core.pipeline.turns_total)
        self._watch_readys(core, on_answered)
        reads, rules = core.reads, self._reads

        def probe() -> None:
            nonlocal term, commit, applied, leading, durable, commits
            if inside.term != term:
                if inside.term < term:
                    raise InvariantError(f"{host}: its term fell from {term} to {inside.term}")
                term = inside.term
            if inside.role is Role.LEADER and leading != term:
                leading = term
                self._led(host, term, loop.now_s)
            if log.commit != commit:
                if log.commit < commit:
                    raise InvariantError(f"{host}: its commit index fell from {commit} to {log.commit}")
                commit = log.commit
                if commit > rules.commit:
                    rules.commit = commit
            if reads.waiting:
                on_waiting()
            if applier.applied != applied:
                if applier.applied < applied:
                    raise InvariantError(f"{host}: its applied index fell from {applied} to {applier.applied}")
                applied = applier.applied
                self._applied(host, applied, applier.term, core.store.revision)
                if applied > log.commit:
                    raise InvariantError(f"{host}: it applied {applied}, above its commit index {log.commit}")
                if not log.applied <= log.applying <= min(commit, log.stable):
                    raise InvariantError(f"{host}: not applied ≤ applying ≤ min(commit, stable): {node.describe()}")
            if store_writer.durable_index != durable or store_writer.commits_total != commits:
                durable, commits = store_writer.durable_index, store_writer.commits_total
                _stands(host, core, durable)
            if (transfers._intake is not None) + (transfers._complete is not None) + (transfers._installing is not None) > 1:
                raise InvariantError(f"{host}: it takes in two snapshots at once")

        life.probe = probe

    def _watch_departures(self, member: SimulatedMember, core: MemberCore) -> None:
        """Looks at every message that leaves. Jobs of the log's thread are whole steps here: what was appended was synced, too."""
        peers, wal = core.peers, core.writer.wal
        send = peers.send

        def departing(messages: Iterable[Message]) -> None:
            batch = list(messages)
            for message in batch:
                if message.kind not in ASKING:
                    self._departs(member.host, message, wal)
                    if message.kind == MessageKind.APPEND_REPLY and not message.reject:
                        self._durability.acknowledges(member, message)
            send(batch)

        peers.send = departing  # type: ignore[method-assign]

    def _departs(self, host: str, message: Message, wal: Wal) -> None:
        durable = wal.hard_state
        if message.term > durable.term:
            raise InvariantError(f"{host}: sends {message!r}, its disk knows term {durable.term}")
        if message.reject:
            return
        is_current = message.term == durable.term
        if message.kind == MessageKind.VOTE_REPLY:
            if is_current and durable.vote != message.to:
                raise InvariantError(f"{host}: gives {message.to:x} its vote of term {message.term}, its disk has {durable.vote:x}")
            if self._votes.setdefault((message.sender, message.term), message.to) != message.to:
                raise InvariantError(f"{host}: votes twice in term {message.term}")
        elif message.kind == MessageKind.APPEND_REPLY and is_current and message.index > wal.last_index:
            raise InvariantError(f"{host}: acknowledges {message.index}, its disk ends at {wal.last_index}")

    def _watch_rounds(self, host: str, core: MemberCore) -> None:
        pipeline, known = core.pipeline, self._contexts.setdefault(host, set())
        ask = pipeline._ask_read_index

        def asking(context: bytes) -> None:
            if context in known:
                raise InvariantError(f"{host}: the context {context.hex()} names two read rounds")
            known.add(context)
            ask(context)

        pipeline._ask_read_index = asking  # type: ignore[method-assign]

    def _watch_readys(self, core: MemberCore, on_answered: Callable[[tuple[ReadState, ...]], None]) -> None:
        """Looks at what consensus hands out before the member does anything with it."""
        node, writes, inside = core.node, self._writes, core.node._core
        take = node.ready

        def ready() -> Ready:
            found = take()
            if found.read_states:
                on_answered(found.read_states)
            if found.committed:
                writes.committed(found.committed)
            if inside.role is not Role.LEADER:
                for message in (*found.messages, *found.held):
                    if message.kind is MessageKind.PROPOSE:
                        writes.handed_on(core, message)
            return found

        node.ready = ready  # type: ignore[method-assign]

    def _led(self, host: str, term: int, now_s: float) -> None:
        self.led_s.setdefault(term, now_s)
        other = self.leaders.setdefault(term, host)
        if other != host:
            raise InvariantError(f"two leaders in term {term}: {other} and {host}")
        self.on_leader(host, term)

    def _applied(self, host: str, index: int, term: int, revision: int) -> None:
        known = self._states.get(index)
        if known is None:
            self._states[index] = (term, revision, host)
        elif known[:2] != (term, revision):
            raise InvariantError(
                f"at index {index} {known[2]} applied an entry of term {known[0]} and stood at revision {known[1]}, "
                f"{host} one of term {term} and stands at revision {revision}"
            )
        elif known[2] != host:
            reached("members_compared")


def _stands(host: str, core: MemberCore, durable: int) -> None:
    """The backend holds at least what is said to be durable."""
    reader = core.store_writer.backend.reader()
    try:
        index = applied_in(reader).index
    finally:
        reader.close()
    if index < durable:
        raise InvariantError(f"{host}: its store is said to be durable at {durable} and stands at {index}")
