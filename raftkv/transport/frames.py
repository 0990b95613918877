"""The layout of HTTP/2 frames (RFC 9113 §4, §6, §7): numbers, builders, and the checks a payload alone allows.

Sans-IO and stateless. Knows nothing of streams' states, windows or gRPC. A peer's violation is raised as
`ConnectionFault`, which ends the connection with a GOAWAY of its code.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from raftkv.errors import RemoteProtocolError

HEAD = struct.Struct(">IBI")
"""A frame head as (length << 8 | type, flags, stream id); the id's top bit is reserved and must be ignored."""
HEAD_BYTES = 9
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

FLAG_ACK = FLAG_END_STREAM = 0x1
FLAG_END_HEADERS = 0x4
FLAG_PADDED = 0x8
FLAG_PRIORITY = 0x20

HEADER_TABLE_SIZE = 1
ENABLE_PUSH = 2
MAX_CONCURRENT_STREAMS = 3
INITIAL_WINDOW_SIZE = 4
MAX_FRAME_SIZE = 5
MAX_HEADER_LIST_SIZE = 6

WINDOW_MAX = (1 << 31) - 1
WINDOW_DEFAULT = 65_535
FRAME_BYTES_DEFAULT = 16_384
"""What every peer must accept, and the most we accept (we never announce more)."""
FRAME_BYTES_LIMIT = (1 << 24) - 1
STREAM_ID_MAX = (1 << 31) - 1
SETTINGS_PER_FRAME_MAX = 64
"""Settings in one frame; six are defined, more is a flood in one frame."""

U32 = struct.Struct(">I")
_SETTING = struct.Struct(">HI")
_GOAWAY = struct.Struct(">II")


class ErrorCode(IntEnum):
    """RFC 9113 §7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class ConnectionFault(RemoteProtocolError):
    """The peer broke the protocol so that the whole connection ends; `code` goes into the GOAWAY."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """One frame; the payload must fit the peer's limit."""
    return HEAD.pack(len(payload) << 8 | kind, flags, stream_id) + payload


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(key, value) for key, value in values.items()))


SETTINGS_ACK = frame(SETTINGS, FLAG_ACK, 0, b"")


def ping(data: bytes, *, ack: bool) -> bytes:
    """A PING frame; `data` is 8 bytes."""
    return frame(PING, FLAG_ACK if ack else 0, 0, data)


def goaway(last_stream_id: int, code: int, text: str) -> bytes:
    """A GOAWAY frame; streams above `last_stream_id` were not and will not be processed."""
    return frame(GOAWAY, 0, 0, _GOAWAY.pack(last_stream_id, code) + text.encode()[:256])


def rst_stream(stream_id: int, code: int) -> bytes:
    """A RST_STREAM frame."""
    return HEAD.pack(4 << 8 | RST_STREAM, 0, stream_id) + U32.pack(code)


def window_update(stream_id: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame; stream 0 is the connection."""
    return HEAD.pack(4 << 8 | WINDOW_UPDATE, 0, stream_id) + U32.pack(increment)


def headers(stream_id: int, block: bytes, *, end_stream: bool, frame_bytes_max: int = FRAME_BYTES_DEFAULT) -> bytes:
    """A HEADERS frame and as many CONTINUATION frames as the block needs; nothing may be put between them."""
    end = FLAG_END_STREAM if end_stream else 0
    if len(block) <= frame_bytes_max:
        return HEAD.pack(len(block) << 8 | HEADERS, FLAG_END_HEADERS | end, stream_id) + block
    parts = [block[at : at + frame_bytes_max] for at in range(0, len(block), frame_bytes_max)]
    frames = [frame(HEADERS, end, stream_id, parts[0])]
    frames += [frame(CONTINUATION, 0, stream_id, part) for part in parts[1:-1]]
    frames.append(frame(CONTINUATION, FLAG_END_HEADERS, stream_id, parts[-1]))
    return b"".join(frames)


def parse_settings(payload: bytes) -> list[tuple[int, int]]:
    """The known settings of a frame, in order, each checked against its range (RFC 9113 §6.5.2)."""
    if len(payload) % _SETTING.size:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS payload is not a multiple of 6 bytes")
    if len(payload) > SETTINGS_PER_FRAME_MAX * _SETTING.size:
        raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many settings in one frame")
    values = list(_SETTING.iter_unpack(payload))
    for key, value in values:
        if key == INITIAL_WINDOW_SIZE and value > WINDOW_MAX:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1")
        if key == MAX_FRAME_SIZE and not FRAME_BYTES_DEFAULT <= value <= FRAME_BYTES_LIMIT:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS_MAX_FRAME_SIZE out of range")
        if key == ENABLE_PUSH and value > 1:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS_ENABLE_PUSH is neither 0 nor 1")
    return values


def parse_goaway(payload: bytes) -> tuple[int, int, str]:
    """(last stream id, code, debug text) of a GOAWAY."""
    if len(payload) < _GOAWAY.size:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY shorter than 8 bytes")
    last_stream_id, code = _GOAWAY.unpack_from(payload)
    return last_stream_id & STREAM_ID_MAX, code, payload[_GOAWAY.size : _GOAWAY.size + 256].decode("utf-8", "replace")


def unpad(payload: bytes) -> bytes:
    """The payload of a PADDED frame without its padding (RFC 9113 §6.1)."""
    if not payload:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "padded frame without a pad length")
    padding = payload[0]
    if padding >= len(payload):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "padding longer than the frame")
    return payload[1 : len(payload) - padding]


def header_fragment(payload: bytes, flags: int, stream_id: int) -> bytes:
    """The header block fragment of a HEADERS frame: without padding and without its (ignored) priority fields."""
    if flags & FLAG_PADDED:
        payload = unpad(payload)
    if flags & FLAG_PRIORITY:
        if len(payload) < 5:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short for its priority")
        if U32.unpack_from(payload)[0] & STREAM_ID_MAX == stream_id:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "stream depends on itself")
        payload = payload[5:]
    return payload
