"""Whether an LMDB file that is shorter than its pages still has every page that counts.

Pages at the end that a transaction took and gave back in one go are never written, so a short file may be whole; one cut
off by a copy is not, and LMDB would touch what is missing and die by SIGBUS. Walks the trees by their page headers,
through the file and not the map; only on a file found short, before LMDB reads a page of it. Layout: LMDB 0.9, mdb.c
(MDB_meta, MDB_page, MDB_node, MDB_db), 64 bits, no duplicate keys.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_META = struct.Struct("<IIQQ")
_TREE = struct.Struct("<IHHQQQQQ")
_END = struct.Struct("<QQ")
_PAGE = struct.Struct("<QHHHH")
_NODE = struct.Struct("<HHHH")

_MAGIC = 0xBEEFC0DE
_BRANCH, _LEAF = 0x01, 0x02
_BIG, _SUBTREE = 0x01, 0x02
_NO_ROOT = 0xFFFF_FFFF_FFFF_FFFF
_META_PAGES = 2


class _Missing(Exception):
    """A page that counts lies beyond the end of the file, or is none."""


def is_whole(file: BinaryIO, page_bytes: int) -> bool:
    """True when every page that the newest commit can reach is in the file."""
    try:
        roots, last_page = _newest_commit(file, page_bytes)
        _walk(file, page_bytes, roots, last_page)
    except (_Missing, struct.error):
        return False
    return True


def _newest_commit(file: BinaryIO, page_bytes: int) -> tuple[list[int], int]:
    commits = []
    for number in range(_META_PAGES):
        page = _read(file, page_bytes, number)
        at = _PAGE.size
        if _META.unpack_from(page, at)[0] != _MAGIC:
            continue
        at += _META.size
        roots = [_TREE.unpack_from(page, at + n * _TREE.size)[7] for n in range(2)]
        last_page, transaction = _END.unpack_from(page, at + 2 * _TREE.size)
        commits.append((transaction, roots, last_page))
    if not commits:
        raise _Missing
    _, roots, last_page = max(commits)
    return roots, last_page


def _walk(file: BinaryIO, page_bytes: int, roots: list[int], last_page: int) -> None:
    waiting = [root for root in roots if root != _NO_ROOT]
    seen = 0
    while waiting:
        number = waiting.pop()
        seen += 1
        if number > last_page or seen > last_page:
            # Also a tree that comes back to itself: it is damaged, whatever its length.
            raise _Missing
        page = _read(file, page_bytes, number)
        own_number, _, flags, lower, _ = _PAGE.unpack_from(page)
        if own_number != number or not flags & (_BRANCH | _LEAF):
            raise _Missing
        for slot in range((lower - _PAGE.size) // 2):
            at = struct.unpack_from("<H", page, _PAGE.size + 2 * slot)[0]
            low, high, node_flags, key_bytes = _NODE.unpack_from(page, at)
            data = at + _NODE.size + key_bytes
            if flags & _BRANCH:
                waiting.append(low | high << 16 | node_flags << 32)
            elif node_flags & _BIG:
                first = struct.unpack_from("<Q", page, data)[0]
                _read(file, page_bytes, first + (_PAGE.size + (low | high << 16) - 1) // page_bytes)
            elif node_flags & _SUBTREE:
                root = _TREE.unpack_from(page, data)[7]
                waiting.extend([root] if root != _NO_ROOT else [])


def _read(file: BinaryIO, page_bytes: int, number: int) -> bytes:
    file.seek(number * page_bytes)
    page = file.read(page_bytes)
    if len(page) < page_bytes:
        raise _Missing
    return page
