"""WebSocket as far as a watch needs it (RFC 6455): the handshake, messages out, and of what the client sends its pings and its close.

Sans-IO: bytes in, bytes to answer out. Subprotocols as upstream's: none, messages of text (JSON) or bytes (protobuf);
`base64.binary.k8s.io`, every message in base64; a single one that nobody knows is agreed to and changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import NamedTuple

from resource_api.errors import StatusError
from resource_api.http.messages import Request

BASE64 = "base64.binary.k8s.io"
BINARY = "binary.k8s.io"
BEARER = "base64url.bearer.authorization.k8s.io."
"""A token that stands among the subprotocols is for authentication."""

VERSION = "13"
CONTROL_BYTES_MAX = 125

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_UPGRADE = re.compile(r"(?:^|,)\s*upgrade\s*(?:,|$)", re.IGNORECASE)
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_KNOWN = frozenset({0, _TEXT, _BINARY, _CLOSE, _PING, _PONG})


class Handshake(NamedTuple):
    """What was agreed."""

    accept: str
    protocol: str

    def headers(self) -> list[tuple[str, str]]:
        """Of the answer 101."""
        agreed = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", self.accept)]
        return [*agreed, ("Sec-WebSocket-Protocol", self.protocol)] if self.protocol else agreed

    def message(self, payload: bytes, *, binary: bool) -> bytes:
        """One message, as the subprotocol has it."""
        if self.protocol == BASE64:
            return frame(_TEXT, base64.b64encode(payload))
        return frame(_BINARY if binary or self.protocol == BINARY else _TEXT, payload)


def handshake(request: Request) -> Handshake | None:
    """None when no WebSocket is asked for. Raises StatusError 400 when it is asked for wrongly."""
    if request.headers.get("Upgrade", "").lower() != "websocket" or not _UPGRADE.search(request.headers.get("Connection", "")):
        return None
    key = request.headers.get("Sec-WebSocket-Key", "")
    if request.headers.get("Sec-WebSocket-Version", "") != VERSION:
        raise _refused("missing or bad WebSocket Version")
    if not key:
        raise _refused("mismatch challenge/response")
    offered = [part.strip() for part in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    offered = [part for part in offered if part and not part.startswith(BEARER)]
    known = [part for part in offered if part in (BASE64, BINARY)]
    if len(offered) > 1 and not known:
        raise _refused("missing or bad WebSocket-Protocol")
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
    return Handshake(accept, (known or offered or [""])[0])


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole message from a server."""
    size = len(payload)
    if size <= CONTROL_BYTES_MAX:
        return bytes((0x80 | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


def closing(code: int = 1000) -> bytes:
    """The last frame."""
    return frame(_CLOSE, code.to_bytes(2, "big"))


class ClientFrames:
    """What a client sends on a stream that only we write: messages are dropped without being kept, pings answered, a close is the end.

    Invariants: 1. never more than one frame's head and one control payload is held; 2. after `ended` nothing is read.
    """

    def __init__(self) -> None:
        self.ended = False
        """The client closed, or broke the protocol."""
        self._held = b""
        self._skip_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """The bytes to answer with."""
        answers: list[bytes] = []
        self._held += data
        while not self.ended:
            if self._skip_bytes:
                dropped = min(self._skip_bytes, len(self._held))
                self._held, self._skip_bytes = self._held[dropped:], self._skip_bytes - dropped
            answer = self._next()
            if answer is None:
                break
            answers.append(answer)
        return b"".join(answers)

    def _next(self) -> bytes | None:
        """Takes one frame; None when its head, or the whole of a control frame, is not there yet."""
        held = self._held
        if self._skip_bytes or len(held) < 2:
            return None
        opcode, size, start = held[0] & 0x0F, held[1] & 0x7F, 2
        is_control = opcode >= _CLOSE
        if opcode not in _KNOWN or held[0] & 0x70 or not held[1] & 0x80 or (is_control and (size > CONTROL_BYTES_MAX or held[0] < 0x80)):
            return self._end(1002)
        if size >= 126:
            start += 2 if size == 126 else 8
            size = int.from_bytes(held[2:start], "big")
        start += 4
        if len(held) < start + (size if is_control else 0):
            return None
        if not is_control:
            self._held, self._skip_bytes = held[start:], size
            return b""
        mask, payload = held[start - 4 : start], held[start : start + size]
        payload = bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload))
        self._held = held[start + size :]
        if opcode == _CLOSE:
            return self._end(int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1000)
        return frame(_PONG, payload) if opcode == _PING else b""

    def _end(self, code: int) -> bytes:
        self.ended, self._held = True, b""
        return closing(code)


def _refused(text: str) -> StatusError:
    return StatusError(400, "BadRequest", text)
