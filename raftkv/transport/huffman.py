"""The Huffman code of HPACK (RFC 7541 §5.2, Appendix B).

Sans-IO. The code is canonical: within one length the codes count up in the order of the symbols, so the symbols sorted
by length are the whole table. Decoding walks a state machine one input byte at a time; a (state, byte) step is computed
when it first occurs and kept, so at most `256 * 256` steps exist and those of real traffic number a few hundred.
Encoding is not offered: what we send is short and sent plain.
"""

from __future__ import annotations

from typing import NamedTuple

from raftkv.errors import RemoteProtocolError

_SYMBOLS_BY_LENGTH = {
    5: "303132616365696f7374",
    6: "20252d2e2f333435363738393d415f62646667686c6d6e707275",
    7: "3a42434445464748494a4b4c4d4e4f5051525354555657596a6b71767778797a",
    8: "262a2c3b585a",
    10: "212228293f",
    11: "272b7c",
    12: "233e",
    13: "0024405b5d7e",
    14: "5e7d",
    15: "3c607b",
    19: "5cc3d0",
    20: "808283a2b8c2e0e2",
    21: "99a1a7acb0b1b3d1d8d9e3e5e6",
    22: "8184858688929a9ca0a3a4a9aaadb2b5b9babbbdbec4c6e4e8e9",
    23: "0187898a8b8c8d8f93959697989b9d9ea5a6a8aeafb4b6b7bcbfc5e7ef",
    24: "098e9091949fabced7e1eced",
    25: "c7cfeaeb",
    26: "c0c1c8c9cacdd2d5dadbeef0f2f3ff",
    27: "cbccd3d4d6dddedff1f4f5f6f7f8fafbfcfdfe",
    28: "020304050607080b0c0e0f1011121314151718191a1b1c1d1e1f7fdcf9",
    30: "0a0d16",
}
"""Length of the code in bits → its symbols in order, in hex."""
_EOS_BITS = 30


class HuffmanError(RemoteProtocolError):
    """The string is not a Huffman coding of anything."""


class _Node:
    """An inner node of the code tree: `children` are nodes, or symbols, or None for the end-of-string code."""

    __slots__ = ("children", "may_end", "steps")

    def __init__(self) -> None:
        self.children: list[_Node | int | None] = [None, None]
        self.may_end = False
        self.steps: dict[int, _Step] = {}


class _Step(NamedTuple):
    """What one input byte does in one state."""

    node: _Node
    symbols: bytes


def _build() -> _Node:
    root = _Node()
    code = length = 0
    for bits, symbols in sorted(_SYMBOLS_BY_LENGTH.items()):
        code <<= bits - length
        length = bits
        for symbol in bytes.fromhex(symbols):
            node = root
            for shift in range(bits - 1, 0, -1):
                bit = code >> shift & 1
                child = node.children[bit]
                if not isinstance(child, _Node):
                    child = node.children[bit] = _Node()
                node = child
            node.children[code & 1] = symbol
            code += 1
    assert code == (1 << _EOS_BITS) - 1, "the end-of-string code is the only one left"
    node = root
    for _ in range(8):  # Padding is at most seven one-bits.
        node.may_end = True
        child = node.children[1]
        assert isinstance(child, _Node)
        node = child
    return root


_ROOT = _build()


def _step(node: _Node, byte: int) -> _Step:
    """Compute and keep what `byte` does in state `node`."""
    start, symbols = node, bytearray()
    for shift in range(7, -1, -1):
        child = node.children[byte >> shift & 1]
        if child is None:
            raise HuffmanError("end-of-string symbol inside a Huffman string")
        if isinstance(child, int):
            symbols.append(child)
            node = _ROOT
        else:
            node = child
    step = start.steps[byte] = _Step(node, bytes(symbols))
    return step


def decode(data: bytes) -> bytes:
    """The plain string; raises `HuffmanError` on a wrong code, an end-of-string symbol or wrong padding."""
    node, out = _ROOT, []
    for byte in data:
        step = node.steps.get(byte)
        if step is None:
            step = _step(node, byte)
        node, symbols = step
        out.append(symbols)
    if not node.may_end:
        raise HuffmanError("wrong padding of a Huffman string")
    return b"".join(out)
