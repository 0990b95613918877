"""The quick ways to make a message make the same as the plain one."""

from __future__ import annotations

from raftkv.raft.messages import (
    Entry,
    Message,
    MessageKind,
    new_append,
    new_append_reply,
    new_heartbeat,
    new_heartbeat_reply,
)


def test_message_made_quickly_equals_the_one_made_by_names():
    """Every field stands in its place, and what a kind does not use stays at its default."""
    entries = (Entry(6, 9, 0, b"x"),)
    made = (
        new_append(2, 1, 7, 6, 8, entries, 5),
        new_append_reply(2, 1, 7, 9),
        new_heartbeat(2, 1, 7, 5, b"round"),
        new_heartbeat_reply(2, 1, 7, b"round"),
    )
    named = (
        Message(MessageKind.APPEND, to=2, sender=1, term=7, log_term=6, index=8, entries=entries, commit=5),
        Message(MessageKind.APPEND_REPLY, to=2, sender=1, term=7, index=9),
        Message(MessageKind.HEARTBEAT, to=2, sender=1, term=7, commit=5, context=b"round"),
        Message(MessageKind.HEARTBEAT_REPLY, to=2, sender=1, term=7, context=b"round"),
    )
    assert made == named
    assert all(type(message) is Message and type(message.kind) is MessageKind for message in made)
