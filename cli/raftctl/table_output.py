"""Rows of membership and endpoints, and `--write-out=table`, which draws them framed; other results have no table, as in etcdctl."""

from __future__ import annotations

from raftctl.context import write
from raftctl.go_text import format_duration, format_size
from raftctl.output import Health
from raftkv import client as c

Rows = tuple[list[str], list[list[str]]]
"""Headings and rows."""


def _bool(value: bool) -> str:
    return "true" if value else "false"


def member_rows(result: c.MemberList) -> Rows:
    """One row per member."""
    headings = ["ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner"]
    rows = [
        [
            f"{member.id:x}",
            "started" if member.name else "unstarted",
            member.name,
            ",".join(member.peer_urls),
            ",".join(member.client_urls),
            _bool(member.is_learner),
        ]
        for member in result.members
    ]
    return headings, rows


def health_rows(rows: list[Health]) -> Rows:
    """One row per endpoint."""
    return ["endpoint", "health", "took", "error"], [
        [row.endpoint, _bool(row.healthy), format_duration(row.took_s), row.error] for row in rows
    ]


def status_rows(rows: list[tuple[str, c.Status]]) -> Rows:
    """One row per endpoint."""
    headings = ["endpoint", "ID", "version", "storage version", "db size", "in use", "percentage not in use", "quota"]
    headings += ["is leader", "is learner", "raft term", "raft index", "raft applied index", "errors"]
    headings += ["downgrade target version", "downgrade enabled"]
    return headings, [[endpoint, *_status_row(status)] for endpoint, status in rows]


def _status_row(status: c.Status) -> list[str]:
    size, used = status.db_size_bytes, status.db_size_in_use_bytes
    return [
        f"{status.header.member_id:x}",
        status.version,
        status.storage_version,
        format_size(size),
        format_size(used),
        # A server that reports no size is said to waste nothing (etcdctl divides by zero).
        f"{100 - used * 100 // size if size else 0}%",
        format_size(status.db_size_quota_bytes),
        _bool(status.leader == status.header.member_id),
        _bool(status.is_learner),
        str(status.raft_term),
        str(status.raft_index),
        str(status.raft_applied_index),
        ", ".join(status.errors),
        status.downgrade_target_version,
        _bool(status.downgrade_enabled),
    ]


def hash_rows(rows: list[tuple[str, c.HashKV]]) -> Rows:
    """One row per endpoint."""
    return ["endpoint", "hash", "hash revision"], [[endpoint, str(result.hash), str(result.hash_revision)] for endpoint, result in rows]


def draw(headings: list[str], rows: list[list[str]]) -> str:
    """A framed table: headings in capitals and centred, cells to the right."""
    titles = [heading.upper() for heading in headings]
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+\n"
    centred = [" " * ((width - len(title)) // 2) + title for title, width in zip(titles, widths, strict=True)]
    lines = [rule, _line([f"{title:<{width}}" for title, width in zip(centred, widths, strict=True)]), rule]
    lines += [_line([f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)]) for row in rows]
    if rows:
        lines.append(rule)
    return "".join(lines)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


class TablePrinter:
    """See the module."""

    def member_list(self, result: c.MemberList) -> None:
        """One row per member."""
        self._draw(member_rows(result))

    def health(self, rows: list[Health]) -> None:
        """One row per endpoint."""
        self._draw(health_rows(rows))

    def status(self, rows: list[tuple[str, c.Status]]) -> None:
        """One row per endpoint."""
        self._draw(status_rows(rows))

    def hash_kv(self, rows: list[tuple[str, c.HashKV]]) -> None:
        """One row per endpoint."""
        self._draw(hash_rows(rows))

    def _draw(self, rows: Rows) -> None:
        write(draw(*rows).encode())
