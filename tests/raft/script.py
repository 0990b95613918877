"""Golden scripts: one command a line, a blank line ends a block, what happened stands below `----`.

Commands (members by number):
  cluster VOTERS [learners=4,5] [pre_vote=no] [check_quorum=no] [append_bytes=N] [inflight=N]   a fresh cluster
  elect N          make N lead, without showing how
  tick N [COUNT] · campaign N · propose N DATA… · read N CONTEXT · transfer N TARGET
  change N v4 l5 r2 [joint|explicit] · leave N            propose a configuration change
  ready N          take one Ready: messages leave, the write is on its way, committed entries are applied
  durable N        the oldest write of N is reported durable; what waited for it leaves
  deliver [A->B] [KIND]    hand over matching packets, oldest first · drop … lose them · packets   show them
  settle [N…]      run everything, or these members alone, until nothing is left · isolate N · heal
  crash N [SURVIVING_WRITES] · restart N · snapshot N [KEEP] · join N
  status N · log N
Members draw the shortest election timeout, so `tick N 10` makes a follower campaign.
"""

from __future__ import annotations

from collections.abc import Callable

from raftkv.errors import RaftKVError
from raftkv.raft.confchange import ChangeKind, ChangeStep, ConfChange, Transition, decode_change
from raftkv.raft.config import RaftConfig
from raftkv.raft.messages import ConfState, Entry, EntryKind, HardState, Message, MessageKind, Ready
from raftkv.raft.proposals import format_conf
from raftkv.raft.trace import TraceEvent
from tests.raft.sim import Cluster, Member, Packet

_STEP_KINDS = {"v": ChangeKind.ADD_VOTER, "l": ChangeKind.ADD_LEARNER, "r": ChangeKind.REMOVE}
_TRANSITIONS = {"joint": Transition.JOINT_IMPLICIT, "explicit": Transition.JOINT_EXPLICIT}


def run_script(text: str) -> str:
    """The script with the output of every block as it is now."""
    script = Script()
    blocks = []
    for block in text.rstrip("\n").split("\n\n"):
        lines = block.split("\n----")[0].splitlines()
        commands = [line for line in lines if line and not line.startswith("#")]
        if not commands:
            blocks.append("\n".join(lines))
            continue
        output = script.run(commands)
        blocks.append("\n".join([*lines, "----", *(output or ["ok"])]))
    return "\n\n".join(blocks) + "\n"


class Script:
    """One script's cluster and what it printed."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._cluster: Cluster | None = None

    @property
    def cluster(self) -> Cluster:
        """The cluster that the script made."""
        assert self._cluster is not None, "a script begins with `cluster`"
        return self._cluster

    def run(self, commands: list[str]) -> list[str]:
        """Runs one block."""
        self._out = []
        for command in commands:
            name, *words = command.split()
            act: Callable[[list[str]], None] = getattr(self, "_do_" + name)
            try:
                act(words)
            except RaftKVError as exc:
                self._out.append(f"{type(exc).__name__}: {exc}")
        return self._out

    def _do_cluster(self, words: list[str]) -> None:
        options = dict(word.split("=") for word in words[1:])
        config = RaftConfig(
            1,
            pre_vote=options.get("pre_vote") != "no",
            check_quorum=options.get("check_quorum") != "no",
            append_bytes_max=int(options.get("append_bytes", 1 << 20)),
            inflight_max=int(options.get("inflight", 512)),
        )
        conf = ConfState(_ids(words[0]), _ids(options.get("learners", "")))
        self._cluster = Cluster(conf, config=config, trace=self._on_trace)
        self._cluster.on_sent = self._on_sent
        for member in self._cluster.members.values():
            _shorten_timeouts(member)

    def _do_elect(self, words: list[str]) -> None:
        shown = list(self._out)
        leader = self.cluster.elect(int(words[0]))
        self._out = [*shown, f"{leader.id} leads term {leader.running.term}"]

    def _do_tick(self, words: list[str]) -> None:
        member = self._member(words[0])
        for _ in range(int(words[1]) if len(words) > 1 else 1):
            member.running.tick()
            self.cluster.act(member)

    def _do_campaign(self, words: list[str]) -> None:
        self._member(words[0]).running.campaign()

    def _do_propose(self, words: list[str]) -> None:
        self.cluster.propose(int(words[0]), *(word.encode() for word in words[1:]))

    def _do_read(self, words: list[str]) -> None:
        if not self.cluster.read(int(words[0]), words[1].encode()):
            self._out.append("no leader to ask")

    def _do_transfer(self, words: list[str]) -> None:
        if not self._member(words[0]).running.transfer_leader(int(words[1])):
            self._out.append("cannot be")

    def _do_change(self, words: list[str]) -> None:
        steps = tuple(ChangeStep(_STEP_KINDS[word[0]], int(word[1:])) for word in words[1:] if word not in _TRANSITIONS)
        transition = next((_TRANSITIONS[word] for word in words if word in _TRANSITIONS), Transition.AUTO)
        self.cluster.change(int(words[0]), ConfChange(steps, transition))

    def _do_leave(self, words: list[str]) -> None:
        self.cluster.change(int(words[0]), ConfChange())

    def _do_ready(self, words: list[str]) -> None:
        member = self._member(words[0])
        if not member.running.has_ready():
            self._out.append("nothing")
            return
        self._show_ready(member, self.cluster.take_ready(member))

    def _do_durable(self, words: list[str]) -> None:
        member = self._member(words[0])
        if member.writes:
            self.cluster.make_durable(member)
        else:
            self._out.append("nothing")

    def _do_deliver(self, words: list[str]) -> None:
        for packet in self._take(words):
            self.cluster.deliver(packet)

    def _do_drop(self, words: list[str]) -> None:
        for packet in self._take(words):
            self.cluster.lose(packet)

    def _do_packets(self, words: list[str]) -> None:
        self._out += ["  " + format_message(packet.message) for packet in self.cluster.packets]

    def _do_settle(self, words: list[str]) -> None:
        before = {member.id: len(member.read_states) for member in self.cluster.members.values()}
        only = {int(word) for word in words} or None
        self.cluster.settle(only=only)
        for member in self.cluster.members.values():
            self._out += [
                f"{member.id}: read {context.decode()} may be served at {index}"
                for index, context in member.read_states[before[member.id] :]
            ]

    def _do_isolate(self, words: list[str]) -> None:
        self.cluster.isolate(int(words[0]))

    def _do_heal(self, words: list[str]) -> None:
        self.cluster.heal()

    def _do_crash(self, words: list[str]) -> None:
        self._member(words[0]).crash(int(words[1]) if len(words) > 1 else 0)

    def _do_restart(self, words: list[str]) -> None:
        member = self._member(words[0])
        member.start(max([index for index, _ in member.history] + list(member.confs)))
        _shorten_timeouts(member)

    def _do_snapshot(self, words: list[str]) -> None:
        self._member(words[0]).make_snapshot(int(words[1]) if len(words) > 1 else 0)

    def _do_join(self, words: list[str]) -> None:
        _shorten_timeouts(self.cluster.add_member(int(words[0])))

    def _do_status(self, words: list[str]) -> None:
        self._out += self._member(words[0]).running.describe().splitlines()

    def _do_log(self, words: list[str]) -> None:
        log = self._member(words[0]).running._core.log
        self._out += ["  " + format_entry(entry) for entry in log.slice(log.first_index, log.last_index + 1, 1 << 30)[0]]

    def _member(self, word: str) -> Member:
        return self.cluster.members[int(word)]

    def _take(self, words: list[str]) -> list[Packet]:
        taken = [packet for packet in self.cluster.packets if _is_match(packet.message, words)]
        self.cluster.packets = [packet for packet in self.cluster.packets if packet not in taken]
        if not taken:
            self._out.append("nothing")
        return taken

    def _show_ready(self, member: Member, ready: Ready) -> None:
        out = self._out
        if ready.write_number:
            out.append(f"{member.id}: write {ready.write_number} {_format_hard(ready.hard_state)}")
            if ready.snapshot is not None:
                out.append(f"  snapshot {ready.snapshot.index}/{ready.snapshot.term}")
            out += ["  " + format_entry(entry) for entry in ready.entries]
        if ready.held:
            out.append(f"{member.id}: until write {ready.held_after}")
            out += ["  " + format_message(message) for message in ready.held]
        if ready.committed:
            out.append(f"{member.id}: apply")
            out += ["  " + format_entry(entry) for entry in ready.committed]
        out += [f"{member.id}: read {state.context.decode()} may be served at {state.index}" for state in ready.read_states]

    def _on_sent(self, message: Message) -> None:
        self._out.append("  " + format_message(message))

    def _on_trace(self, event: TraceEvent) -> None:
        peer = f" {event.peer}" if event.peer else ""
        detail = f": {event.detail}" if event.detail else ""
        self._out.append(f"{event.member_id}: {event.kind}{peer} at term {event.term}{detail}")


def format_entry(entry: Entry) -> str:
    """index/term and what it holds."""
    if entry.kind == EntryKind.CONF_CHANGE:
        change = decode_change(entry.data)
        marks = {kind: mark for mark, kind in _STEP_KINDS.items()}
        steps = " ".join(f"{marks[step.kind]}{step.member_id}" for step in change.steps)
        return f"{entry.index}/{entry.term} change {steps or 'leave'}"
    return f"{entry.index}/{entry.term} {entry.data.decode() or '(empty)'}"


def format_message(message: Message) -> str:
    """One line, with the fields its kind uses."""
    kind = MessageKind(message.kind)
    parts = [f"{message.sender}->{message.to} {kind.name} term={message.term}"]
    if kind in (MessageKind.APPEND, MessageKind.VOTE, MessageKind.PRE_VOTE):
        parts.append(f"log={message.index}/{message.log_term}")
    elif message.index:
        parts.append(f"index={message.index}")
    if message.commit:
        parts.append(f"commit={message.commit}")
    if message.reject:
        parts.append("rejected")
    if message.reject_hint or (message.reject and kind is MessageKind.APPEND_REPLY):
        parts.append(f"hint={message.reject_hint}/{message.log_term}")
    if message.context:
        parts.append(f"context={message.context.decode(errors='replace') if message.context.isalnum() else message.context.hex()}")
    if message.snapshot is not None:
        parts.append(f"snapshot={message.snapshot.index}/{message.snapshot.term} voters={format_conf(message.snapshot.conf_state)}")
    if message.entries:
        parts.append("[" + ", ".join(format_entry(entry) for entry in message.entries) + "]")
    return " ".join(parts)


def _format_hard(hard_state: HardState | None) -> str:
    return f"term={hard_state.term} vote={hard_state.vote} commit={hard_state.commit}" if hard_state else ""


def _ids(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in text.split(",") if one)


def _is_match(message: Message, words: list[str]) -> bool:
    for word in words:
        if "->" in word:
            sender, to = word.split("->")
            if (sender and int(sender) != message.sender) or (to and int(to) != message.to):
                return False
        elif MessageKind[word] != message.kind:
            return False
    return True


def _shorten_timeouts(member: Member) -> None:
    core = member.running._core
    core._randrange = lambda limit: 0
    core.draw_election_timeout()
