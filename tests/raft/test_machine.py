"""A cluster in Hypothesis's hands: it looks for the shortest list of events that breaks an invariant of the oracle."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from raftkv.errors import RaftKVError
from raftkv.raft.confchange import ChangeKind, ChangeStep, ConfChange
from raftkv.raft.config import RaftConfig
from raftkv.raft.messages import ConfState, MessageKind
from tests.raft.sim import Cluster, Member

MEMBERS = st.integers(1, 4)


class ClusterMachine(RuleBasedStateMachine):
    """Three members and one that may join; every rule is one event, every event is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster(ConfState((1, 2, 3)))
        self.counter = 0

    @initialize(pre_vote=st.booleans(), check_quorum=st.booleans(), inflight=st.sampled_from([1, 512]))
    def begin(self, pre_vote: bool, check_quorum: bool, inflight: int) -> None:
        config = RaftConfig(1, election_ticks=3, pre_vote=pre_vote, check_quorum=check_quorum, inflight_max=inflight)
        self.cluster = Cluster(ConfState((1, 2, 3)), config=config)
        self.cluster.add_member(4)
        self.cluster.elect(1)

    def member(self, member_id: int) -> Member | None:
        member = self.cluster.members.get(member_id)
        return member if member is not None and member.node is not None else None

    @rule(member_id=MEMBERS, count=st.integers(1, 6))
    def tick(self, member_id: int, count: int) -> None:
        if member := self.member(member_id):
            for _ in range(count):
                member.running.tick()
            self.cluster.act(member)

    @rule(member_id=MEMBERS)
    def campaign(self, member_id: int) -> None:
        if member := self.member(member_id):
            member.running.campaign()
            self.cluster.act(member)

    @rule(member_id=MEMBERS, count=st.integers(1, 3))
    def propose(self, member_id: int, count: int) -> None:
        if member := self.member(member_id):
            try:
                member.running.propose([self._data() for _ in range(count)])
            except RaftKVError:
                return
            self.cluster.act(member)

    @rule(member_id=MEMBERS, to=MEMBERS, kind=st.sampled_from(ChangeKind))
    def change(self, member_id: int, to: int, kind: ChangeKind) -> None:
        if member := self.member(member_id):
            try:
                member.running.propose_change(ConfChange((ChangeStep(kind, to),)))
            except RaftKVError:
                return
            self.cluster.act(member)

    @rule(member_id=MEMBERS)
    def read(self, member_id: int) -> None:
        if self.member(member_id):
            self.cluster.read(member_id, self._data())

    @rule(member_id=MEMBERS, to=MEMBERS)
    def transfer(self, member_id: int, to: int) -> None:
        if member := self.member(member_id):
            member.running.transfer_leader(to)
            self.cluster.act(member)

    @rule(member_id=MEMBERS)
    def ready(self, member_id: int) -> None:
        member = self.member(member_id)
        if member is not None and member.running.has_ready():
            self.cluster.take_ready(member)

    @rule(member_id=MEMBERS)
    def durable(self, member_id: int) -> None:
        member = self.member(member_id)
        if member is not None and member.writes:
            self.cluster.make_durable(member)

    @precondition(lambda self: self.cluster.packets)
    @rule(draw=st.integers(0, 1000), again=st.booleans())
    def deliver(self, draw: int, again: bool) -> None:
        packets = self.cluster.packets
        packet = packets[draw % len(packets)]
        if not again or packet.message.kind == MessageKind.PROPOSE:
            packets.remove(packet)
        self.cluster.deliver(packet)

    @precondition(lambda self: self.cluster.packets)
    @rule(draw=st.integers(0, 1000))
    def lose(self, draw: int) -> None:
        self.cluster.lose(self.cluster.packets.pop(draw % len(self.cluster.packets)))

    @rule(only=st.sets(MEMBERS, min_size=2))
    def settle(self, only: set[int]) -> None:
        """A quiet moment for some, so that deep states are reached at all."""
        self.cluster.settle(only=only)

    @rule(member_id=MEMBERS, survives=st.integers(0, 3))
    def crash(self, member_id: int, survives: int) -> None:
        if member := self.member(member_id):
            member.crash(survives)

    @rule(member_id=MEMBERS, lag=st.integers(0, 3))
    def restart(self, member_id: int, lag: int) -> None:
        member = self.cluster.members.get(member_id)
        if member is not None and member.node is None:
            floor = max(member.storage.first_index() - 1, min(member.confs))
            newest = max([index for index, _ in member.history] + [*member.confs, floor])
            member.start(max(floor, min(newest, member.storage.last_index()) - lag))
            self.cluster.act(member)

    @rule(member_id=MEMBERS, keep=st.integers(0, 2))
    def snapshot(self, member_id: int, keep: int) -> None:
        if member := self.member(member_id):
            member.make_snapshot(keep)

    @rule(member_id=MEMBERS)
    def isolate(self, member_id: int) -> None:
        self.cluster.isolate(member_id)

    @rule()
    def heal(self) -> None:
        self.cluster.heal()

    def _data(self) -> bytes:
        self.counter += 1
        return b"%d" % self.counter


ClusterMachine.TestCase.settings = settings(
    max_examples=20, stateful_step_count=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_cluster_under_any_events_keeps_every_invariant = ClusterMachine.TestCase
