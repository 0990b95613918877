"""Lists in representations that must be made from decoded objects: YAML, protobuf, Tables, partial metadata, indented JSON.

An element takes 5 to 300 us, so each is encoded by itself, in slices of a turn of the loop, and the list is put together from the pieces: a
thousand Pods as YAML took 0.3 s in one turn. The bytes are those of the whole list encoded at once. Loop only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from resource_api.cache.item import Item
from resource_api.errors import Object
from resource_api.http.messages import JSON, PROTOBUF, YAML, Request
from resource_api.http.negotiation import Wanted
from resource_api.http.representation import Representations, encode_json, encode_yaml, wants_pretty
from resource_api.schema.kinds import ResourceType
from resource_api.schema.protobuf.envelope import element_writer, encode_envelope
from resource_api.turns import Turn

STEP = 8
"""Objects shaped between two looks at the time; a printer's columns are made once for all of them."""

EncodeElement = Callable[[Object], bytes]
Assemble = Callable[[Object, str, list[bytes]], bytes]
"""From the list without its elements, the field they stand in, and their bytes."""


class ListBodies:
    """Encodes lists."""

    def __init__(self, representations: Representations) -> None:
        self._representations = representations

    async def body(
        self, type: ResourceType, items: Sequence[Item], metadata: Object, wanted: Wanted, request: Request
    ) -> tuple[bytes, str]:
        """Bytes and content type. Raises StatusError 400 and 406."""
        many = self._representations.many
        shell = many(type, [], metadata, wanted, request)
        field = "rows" if wanted.target == "Table" else "items"
        element, assemble, content_type = _encoding(shell, wanted, pretty=wants_pretty(request))
        turn = Turn()
        pieces: list[bytes] = []
        for first in range(0, len(items), STEP):
            objects = [item.object() for item in items[first : first + STEP]]
            for shaped in many(type, objects, metadata, wanted, request)[field]:
                pieces.append(element(shaped))
                if turn.is_over:
                    await turn.next()
        return assemble(shell, field, pieces), content_type


def _encoding(shell: Object, wanted: Wanted, *, pretty: bool) -> tuple[EncodeElement, Assemble, str]:
    if wanted.media == "yaml":
        return _yaml_element, _yaml_list, YAML
    if wanted.media == "protobuf":
        try:
            return element_writer(shell), _protobuf_list, PROTOBUF
        except ValueError:
            pass  # What has no protobuf form goes out as JSON, which every client takes.
    if pretty and wanted.media == "json":
        return _indented_element, _indented_list, JSON
    return encode_json, _json_list, JSON


def _json_list(shell: Object, field: str, pieces: list[bytes]) -> bytes:
    head, empty, tail = encode_json(shell).partition(b'"%b":[]' % field.encode())
    return b"".join((head, empty[:-1], b",".join(pieces), b"]", tail))


def _indented_element(obj: Object) -> bytes:
    return b"\n    " + msgspec.json.format(encode_json(obj), indent=2).replace(b"\n", b"\n    ")


def _indented_list(shell: Object, field: str, pieces: list[bytes]) -> bytes:
    made = msgspec.json.format(encode_json(shell), indent=2)
    if not pieces:
        return made
    head, empty, tail = made.partition(b'"%b": []' % field.encode())
    return b"".join((head, empty[:-1], b",".join(pieces), b"\n  ]", tail))


def _yaml_element(obj: Object) -> bytes:
    return encode_yaml([obj])


def _yaml_list(shell: Object, field: str, pieces: list[bytes]) -> bytes:
    return b"".join(_yaml_parts(shell, field, pieces))


def _yaml_parts(shell: Object, field: str, pieces: list[bytes]) -> Iterator[bytes]:
    """Members by name, as the whole would be written."""
    for name in sorted(shell):
        if name != field or not pieces:
            yield encode_yaml({name: shell[name]})
        else:
            yield b"%b:\n" % field.encode()
            yield from pieces


def _protobuf_list(shell: Object, field: str, pieces: list[bytes]) -> bytes:
    return encode_envelope({name: value for name, value in shell.items() if name != field}, b"".join(pieces))
