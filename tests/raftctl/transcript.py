"""Command lines and what they print, as text a person can review.

A transcript is a list of cases. A line's first two characters say what it is: `$ ` a command line, `% ` a variable of its environment,
`< ` a line of standard input, `> ` standard output, `! ` standard error, `= ` the exit status, `@ ` why etcdctl 3.4 answers
otherwise. `$~` is a command that does not end by itself and is stopped once it has printed what is expected. `# ` is a heading.
What differs from run to run is written as a name: $EP, $PEER, $CLUSTER, $MEMBER (hexadecimal: $xCLUSTER, $xMEMBER), $TERM, $TOOK, $LEFT,
$WHY,
$xNEW for the member added last, and $L1, $L2 … for leases in order of their grant (decimal: $dL1).
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterable

KEPT = ("$ ", "$~", "% ", "< ", "@ ", "# ")


@dataclasses.dataclass
class Case:
    """One command line and its result."""

    words: list[str]
    line: str
    endless: bool = False
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    stdin: bytes = b""
    stdout: str = ""
    stderr: str = ""
    status: int = 0
    difference: str = ""
    heading: list[str] = dataclasses.field(default_factory=list)

    def text(self) -> str:
        """The case as a transcript has it."""
        lines = [f"# {line}" for line in self.heading]
        lines += [f"% {name}={value}" for name, value in self.environment.items()]
        lines.append(("$~" if self.endless else "$ ") + self.line)
        if self.difference:
            lines.append(f"@ {self.difference}")
        for mark, part in (("<", self.stdin.decode()), (">", self.stdout), ("!", self.stderr)):
            lines += [f"{mark} {line}" if line else mark for line in part.splitlines()]
        if not self.endless:
            lines.append(f"= {self.status}")
        return "\n".join(lines) + "\n"


def parse(text: str) -> list[Case]:
    """The cases of a transcript."""
    cases: list[Case] = []
    heading: list[str] = []
    environment: dict[str, str] = {}
    for line in text.splitlines():
        mark, rest = line[:2], line[2:]
        if mark == "# ":
            heading.append(rest)
        elif mark == "% ":
            name, _, value = rest.partition("=")
            environment[name] = value
        elif mark in ("$ ", "$~"):
            cases.append(Case(shlex.split(rest), rest, mark == "$~", environment, heading=heading))
            heading, environment = [], {}
        elif mark == "< " or line == "<":
            cases[-1].stdin += rest.encode() + b"\n"
        elif mark == "> " or line == ">":
            cases[-1].stdout += rest + "\n"
        elif mark == "! " or line == "!":
            cases[-1].stderr += rest + "\n"
        elif mark == "= ":
            cases[-1].status = int(rest)
        elif mark == "@ ":
            cases[-1].difference = rest
    return cases


_TERM = re.compile(r'("raft_term":|"RaftTerm" : )\d+')
_TOOK = re.compile(r'(took = |took |"took":"|"Took" : )[\d.]+(ns|µs|ms|s)')
_GRANTED = re.compile(r"lease ([0-9a-f]{16}) granted")
_WHY = re.compile(r"(connection to \S+ failed: ).*")
_GRANTED_ID = re.compile(r'"ID"(?: : |:)(\d{12,19})\b')
_LEFT = re.compile(r'(remaining\(|"ttl":|"TTL" : )59\d')
_ADDED = re.compile(r"Member +([0-9a-f]+) added to")
_TABLE_LINE = re.compile(r"^(\+-.*-\+|\| .* \|)$", re.MULTILINE)
_INITIAL = re.compile(r'(ETCD_INITIAL_CLUSTER=")(.*)(")')
_NOISE = re.compile(r'^\{"level":.*\n', re.MULTILINE)


def _in_order(match: re.Match[str]) -> str:
    """Members come by id, and a new one's is random."""
    return match[1] + ",".join(sorted(match[2].split(","))) + match[3]


def _without_widths(match: re.Match[str]) -> str:
    """Columns are as wide as ids, which differ; test_output.py has the exact layout."""
    return re.sub(r"([ -])\1+", r"\1", match[0])


class Names:
    """What stands for what in one run."""

    def __init__(self, endpoint: str, peer_url: str, cluster_id: int, member_id: int) -> None:
        self._names = {"$EP": endpoint, "$PEER": peer_url, "$CLUSTER": str(cluster_id), "$MEMBER": str(member_id)}
        self._names |= {"$xCLUSTER": f"{cluster_id:x}", "$xMEMBER": f"{member_id:x}"}
        self._leases = 0

    def insert(self, text: str) -> str:
        """Names to what they stand for."""
        for name, value in sorted(self._names.items(), reverse=True):
            text = text.replace(name, value)
        return text

    def remove(self, text: str) -> str:
        """What names stand for to names; new leases get one."""
        text = _NOISE.sub("", text)
        for lease in _GRANTED.findall(text):
            if lease not in self._names.values():
                self._leases += 1
                self._names[f"$L{self._leases}"] = lease
                self._names[f"$dL{self._leases}"] = str(int(lease, 16))
        for member in _ADDED.findall(text):
            self._names["$xNEW"] = member
        for name, value in self._names.items():
            text = text.replace(value, name)
        text = re.sub(r" +(\$xNEW|\$xCLUSTER)", r" \1", text)
        for lease in _GRANTED_ID.findall(text):
            self._leases += 1
            self._names[f"$L{self._leases}"] = f"{int(lease):016x}"
            self._names[f"$dL{self._leases}"] = lease
            text = text.replace(lease, f"$dL{self._leases}")
        text = _TABLE_LINE.sub(_without_widths, text)
        text = _INITIAL.sub(_in_order, text)
        text = _LEFT.sub(r"\1$LEFT", text)
        text = _TERM.sub(r"\1$TERM", text)
        text = _WHY.sub(r"\1$WHY", text)
        return _TOOK.sub(r"\1$TOOK", text)


def join(cases: Iterable[Case]) -> str:
    """The transcript of cases."""
    return "\n".join(case.text() for case in cases)
