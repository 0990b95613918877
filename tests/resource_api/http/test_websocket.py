"""Watches as WebSocket messages, and the frames themselves (spec B.8, RFC 6455)."""

from __future__ import annotations

import asyncio
import base64
import json

import aiohttp
import pytest

from resource_api.http.websocket import BASE64, ClientFrames, closing, frame
from tests.resource_api.http.serving import Face, config_map, face
from tests.resource_api.http.test_watch_stream import MAPS, PROTOBUF

WATCH = f"{MAPS}?watch=1&resourceVersion=0"
MASK = b"\x01\x02\x03\x04"


def masked(opcode: int, payload: bytes, *, last: bool = True) -> bytes:
    """A client's frame."""
    size = len(payload)
    length = (
        bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big") if size < 65536 else b"\xff" + size.to_bytes(8, "big")
    )
    body = bytes(byte ^ MASK[index & 3] for index, byte in enumerate(payload))
    return bytes((0x80 * last | opcode,)) + length + MASK + body


@pytest.mark.asyncio
async def test_watch_upgraded_sends_each_event_as_one_text_message():
    """Without a subprotocol the JSON of an event is the text of a message; the end of the watch is a close frame."""
    async with face() as api:
        await api.ask("POST", MAPS, config_map("a"))
        async with api.session.ws_connect(f"{api.url}{WATCH}&timeoutSeconds=1") as socket:
            first = await socket.receive()
            assert (first.type, json.loads(first.data)["object"]["metadata"]["name"]) == (aiohttp.WSMsgType.TEXT, "a")
            await socket.ping(b"there?")
            await api.ask("DELETE", f"{MAPS}/a")
            assert (await socket.receive_json())["type"] == "DELETED"
            end = await socket.receive()
        assert (end.type, end.data) == (aiohttp.WSMsgType.CLOSE, 1000)


@pytest.mark.asyncio
async def test_watch_upgraded_with_base64_encodes_every_message():
    """The subprotocol is agreed to and its messages are text in base64."""
    async with face() as api:
        await api.ask("POST", MAPS, config_map("a"))
        async with api.session.ws_connect(api.url + WATCH, protocols=(BASE64,)) as socket:
            message = await socket.receive_str()
            assert (socket.protocol, json.loads(base64.b64decode(message))["type"]) == (BASE64, "ADDED")


@pytest.mark.asyncio
async def test_watch_upgraded_asking_for_protobuf_gets_messages_without_a_length():
    """A binary message is one WatchEvent."""
    async with face() as api:
        await api.ask("POST", MAPS, config_map("a"))
        async with api.session.ws_connect(api.url + WATCH, headers=PROTOBUF) as socket:
            message = await socket.receive_bytes()
        assert message.startswith(b"\x0a\x05ADDED")


@pytest.mark.asyncio
async def test_watch_upgraded_ends_when_the_client_closes():
    """The close is echoed and the watch is gone."""
    async with face() as api:
        socket = await api.session.ws_connect(api.url + WATCH)
        assert await socket.close(code=1001)
        assert socket.close_code == 1001
        await _until_idle(api)


async def _until_idle(api: Face) -> None:
    for _ in range(100):
        _, text = await api.ask("GET", "/metrics")
        if not any(line.startswith("apiserver_longrunning_requests{") and not line.endswith(" 0") for line in str(text).splitlines()):
            return
        await asyncio.sleep(0)
    raise AssertionError("the watch goes on")


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Sec-WebSocket-Key": "a"}, "missing or bad WebSocket Version"),
        ({"Sec-WebSocket-Version": "13"}, "mismatch challenge/response"),
        (
            {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "a", "Sec-WebSocket-Protocol": "x, y"},
            "missing or bad WebSocket-Protocol",
        ),
    ],
)
@pytest.mark.asyncio
async def test_handshake_that_is_wrong_is_refused(headers: dict[str, str], said: str):
    """400 before anything is watched, and the connection serves on."""
    async with face() as api:
        code, answer = await api.ask("GET", WATCH, headers={"Connection": "Upgrade", "Upgrade": "websocket", **headers})
        assert (code, answer["message"]) == (400, said)
        assert (await api.ask("GET", MAPS))[0] == 200


def test_client_frames_in_any_pieces_give_the_same_answers():
    """Data is dropped, pings answered, the close echoed, wherever the bytes are cut."""
    sent = masked(2, b"x" * 70000, last=False) + masked(9, b"p") + masked(0, b"y" * 300) + masked(10, b"") + masked(8, b"\x03\xe9bye")
    for size in (1, 3, 1000, len(sent)):
        frames, answers = ClientFrames(), b""
        for start in range(0, len(sent), size):
            answers += frames.feed(sent[start : start + size])
        assert (answers, frames.ended) == (frame(10, b"p") + closing(1001), True)


@pytest.mark.parametrize("bad", [b"\x81\x01a", masked(9, b"x" * 126), masked(9, b"", last=False), masked(3, b""), b"\xc1\x80" + MASK])
def test_client_frames_against_the_protocol_end_the_stream(bad: bytes):
    """Unmasked, a long or cut control frame, an unknown opcode, an extension nobody agreed to: close with 1002."""
    frames = ClientFrames()
    assert (frames.feed(bad), frames.ended) == (closing(1002), True)
    assert frames.feed(masked(9, b"")) == b""
