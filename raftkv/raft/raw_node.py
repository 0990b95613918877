"""Consensus at one member: messages, ticks and proposals in, `Ready` out. Sans-IO; called on the loop only.

The driver's duty, per Ready and in this order (design §3; there is one mode, asynchronous persistence):

1. Send `messages`. 2. If `write_number` is set, hand `snapshot`, `entries` and `hard_state` to the log's worker under
that number; go on without waiting. 3. Keep `held` until write number `held_after` is durable, then send it. 4. Apply
`committed` in order (`apply_change` for CONF_CHANGE entries), then call `applied_to`. 5. Serve `read_states` when applied
reaches their index. When the worker reports a write durable: `persisted`, which may make the next Ready.

`ready()` may be taken again at once; every entry, message and committed entry is handed out exactly once. A commit index
alone is not written: it travels with the next write, and is learned again after a crash. Only when it
reaches a configuration change it is written by itself, and the change counts as committed after that.

A received snapshot: the driver steps the SNAPSHOT message when the state is complete under its temporary name; if the
next Ready carries `snapshot`, it puts the state in place and reports the write; from then on applied = snapshot index.
When no Ready carries it the snapshot was refused, and the state is to be thrown away.

Hot path: `propose`, `step`, `ready`, `persisted` cost a few slices per batch, see tests/bench/test_raft_core.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from raftkv.raft import election, proposals, replication, step
from raftkv.raft.confchange import ConfChange
from raftkv.raft.config import RaftConfig
from raftkv.raft.core import Core
from raftkv.raft.heartbeat import add_read
from raftkv.raft.messages import ConfState, Entry, HardState, Message, MessageKind, ReadState, Ready, Role, SoftState
from raftkv.raft.status import NodeView
from raftkv.raft.storage import Storage
from raftkv.raft.trace import Trace

_CANDIDATE, _LEADER = Role.CANDIDATE, Role.LEADER
_new = tuple.__new__


class RawNode(NodeView):
    """One member of a consensus group.

    `storage.initial_state()` gives hard state and the configuration as of `applied`, the index the driver's store stands
    at. `randrange(n)` returns an integer in [0, n). Invariants: those of `Core`, `RaftLog`, `Tracker` and `ReadRounds`.
    """

    def __init__(
        self,
        config: RaftConfig,
        storage: Storage,
        *,
        applied: int = 0,
        randrange: Callable[[int], int],
        trace: Trace | None = None,
    ) -> None:
        super().__init__(Core(config, storage, applied=applied, randrange=randrange, trace=trace))
        self._soft_state = SoftState(0, Role.FOLLOWER)

    def tick(self) -> None:
        """One tick of logical time."""
        step.tick(self._core)

    def step(self, message: Message) -> None:
        """Takes a message from another member. What is stale, foreign or out of place is ignored."""
        step.step(self._core, message)

    def propose(self, datas: Sequence[bytes]) -> None:
        """Appends normal entries in order, or sends them to the leader in one message; all or nothing.

        Raises ProposalDroppedError, and then nothing happened. Sent is not accepted: only an applied entry is an outcome.
        """
        proposals.propose(self._core, datas)

    def propose_change(self, change: ConfChange) -> None:
        """Appends a configuration change, or sends it to the leader.

        Raises ConfChangeRefusedError (not now), ConfChangeInvalidError (never), ProposalDroppedError.
        """
        proposals.propose_change(self._core, change)

    def apply_change(self, change: ConfChange) -> ConfState:
        """Puts the change of a CONF_CHANGE entry in force; called when the entry is applied, before `applied_to`.

        Raises ConfChangeInvalidError on every member alike; the entry then counts as applied without effect.
        """
        return proposals.apply_conf_change(self._core, change)

    def read_index(self, context: bytes) -> bool:
        """Asks for an index that a linearizable read must wait for; it comes as a ReadState with this context, or never.

        `context` is unique for the life of the cluster's data, also across restarts of this member: a late answer to an
        older use of it would be taken for this one's. False when there is no leader to ask or too many reads wait.
        """
        core = self._core
        if core.role is Role.LEADER:
            return add_read(core, core.member_id, context)
        if core.leader_id == 0:
            return False
        core.send(Message(MessageKind.READ_INDEX, core.leader_id, core.member_id, core.term, context=context))
        return True

    def transfer_leader(self, target: int) -> bool:
        """Starts handing leadership over, or asks the leader to; False when that cannot be."""
        return proposals.transfer_leader(self._core, target)

    def campaign(self) -> None:
        """Stands for election now, as if the election timeout had passed."""
        election.campaign(self._core)

    def report_unreachable(self, member_id: int) -> None:
        """Messages to this member were dropped by the driver."""
        replication.on_unreachable(self._core, member_id)

    def report_snapshot(self, member_id: int, ok: bool) -> None:
        """Sending the state of a SNAPSHOT message to this member ended. Must be called for each one."""
        replication.on_snapshot_outcome(self._core, member_id, ok=ok)

    def has_ready(self) -> bool:
        """True when `ready` would hand something out."""
        core, log = self._core, self._log
        if core.flush_due:
            replication.flush(core)
        if core.messages or core.held:
            return True
        # Asked once a turn and mostly in vain: the cheapest questions first, and no tuple is made.
        soft_state = self._soft_state
        if log.written < log.last_index or core.read_states or core.hard_state_changed or core.commit_write_due or log.snapshot_due:
            return True
        if soft_state[0] != core.leader_id or soft_state[1] is not core.role:
            return True
        return log.applying < log.commit and log.has_committed

    def ready(self) -> Ready:
        """Hands out everything there is to do. See `Ready` and the module's contract."""
        core, log = self._core, self._log
        if core.flush_due:
            replication.flush(core)
        write_number, hard_state, snapshot = 0, None, None
        entries: tuple[Entry, ...] = ()
        if log.written < log.last_index or log.snapshot_due or core.hard_state_changed or core.commit_write_due:
            core.write_number = write_number = core.write_number + 1
            snapshot, entries = log.take_unwritten(write_number)
            commit = log.commit if log.commit > core.change_to_commit else core.change_to_commit
            # Never more than this write and those before it hold: entries behind a snapshot come with the next.
            hard_state = _new(HardState, (core.term, core.vote, commit if commit < log.written else log.written))
            core.on_hard_state(write_number)
        messages, held, held_after = core.messages, core.held, 0
        if messages:
            core.messages = []
        if held:
            if log.written < log.last_index:
                # Some may acknowledge what only the next Ready hands out.
                held = []
            else:
                core.held = []
                if core.durable_write >= core.write_number:
                    messages, held = messages + held, []
                else:
                    held_after = core.write_number
        read_states: tuple[ReadState, ...] = ()
        if core.read_states:
            read_states = tuple(core.read_states)
            core.read_states = []
        soft_state = None
        known = self._soft_state
        if known[0] != core.leader_id or known[1] is not core.role:
            soft_state = self._soft_state = SoftState(core.leader_id, core.role)
        # As `Ready(...)` makes it, without Python code of its own in between: 0.2 instead of 0.4 µs.
        return _new(
            Ready,
            (
                write_number,
                hard_state,
                entries,
                snapshot,
                tuple(messages),
                tuple(held),
                log.take_committed(core.config.committed_bytes_max) if log.applying < log.commit else (),
                read_states,
                soft_state,
                write_number > 0,
                held_after,
            ),
        )

    def persisted(self, write_number: int, term: int, index: int) -> None:
        """Every write up to this number is durable. `term` and `index` are those of the last entry (or the snapshot) of
        this write, 0 when it had none. Reports come in order; one that was made before changes nothing.

        Only what is still in the log becomes stable; an entry that was overwritten and came back under a newer number
        waits for that number's report.
        """
        core, log = self._core, self._log
        assert write_number <= core.write_number, "a report of a write that was never handed out"
        if write_number <= core.durable_write:
            return
        before = core.durable_write
        core.durable_write = write_number
        log.on_persisted(write_number, term=term, index=index)
        if core.role is _LEADER:
            own = core.tracker.progress.get(core.member_id)
            if (own is not None and own.maybe_update(log.stable)) or core.change_to_commit > log.commit:
                core.maybe_commit()
        elif core.role is _CANDIDATE and before < core.hard_state_write and core.is_term_durable:
            election.on_own_vote_durable(core)

    def applied_to(self, index: int) -> None:
        """Everything up to `index` is applied."""
        proposals.on_applied(self._core, index)
