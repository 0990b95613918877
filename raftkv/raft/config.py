"""What consensus at one member must be told; built by the driver, never read from flags here."""

from __future__ import annotations

from dataclasses import dataclass

from raftkv.errors import ConfigError


@dataclass(frozen=True, slots=True)
class RaftConfig:
    """Settings of one `RawNode`. Only `election_ticks` should agree across members."""

    member_id: int
    """This member. Above 0."""

    election_ticks: int = 10
    """A follower campaigns after [1, 2) times this without a leader. Above `heartbeat_ticks`."""

    heartbeat_ticks: int = 1
    """Ticks between a leader's heartbeats. Above 0; etcd runs with 1 tick of 100 ms."""

    append_bytes_max: int = 1 << 20
    """Entry data in one append message; a larger entry travels alone. etcd's value."""

    inflight_max: int = 512
    """Append messages on their way to one follower. etcd's value."""

    inflight_bytes_max: int = 64 << 20
    """Entry data on its way to one follower; bounds what a slow one makes the leader's senders hold."""

    uncommitted_bytes_max: int = 64 << 20
    """Entry data proposed and not committed; beyond it proposals are refused. One proposal always passes."""

    committed_bytes_max: int = 16 << 20
    """Entry data in one Ready's `committed`, so that a long replay comes in slices."""

    reads_max: int = 65_536
    """Read contexts waiting at a leader; beyond it new ones are dropped and their askers time out."""

    pre_vote: bool = True
    """Ask before raising the term (thesis §9.6)."""

    check_quorum: bool = True
    """A leader that hears no quorum for an election timeout steps down; followers stick to a live leader (thesis §6.2)."""

    def validate(self) -> None:
        """Raises ConfigError naming every fault at once."""
        faults = [
            text
            for bad, text in (
                (self.member_id <= 0, "member_id must be above 0"),
                (self.heartbeat_ticks <= 0, "heartbeat_ticks must be above 0"),
                (self.election_ticks <= self.heartbeat_ticks, "election_ticks must be above heartbeat_ticks"),
                (self.append_bytes_max <= 0, "append_bytes_max must be above 0"),
                (self.inflight_max <= 0, "inflight_max must be above 0"),
                (self.inflight_bytes_max < self.append_bytes_max, "inflight_bytes_max must be at least append_bytes_max"),
                (self.uncommitted_bytes_max <= 0, "uncommitted_bytes_max must be above 0"),
                (self.committed_bytes_max <= 0, "committed_bytes_max must be above 0"),
                (self.reads_max <= 0, "reads_max must be above 0"),
            )
            if bad
        ]
        if faults:
            raise ConfigError("raft: " + "; ".join(faults))
