"""Node ports: each is a key of the store while a Service has it, so that none is given out twice, whoever crashes in between.

The key's value says whose it is; its revision is the proof of whoever took it, and only with that proof, or on behalf of that very
Service, is it given back. Upstream keeps one bitmap under `ranges/servicenodeports` instead, which is left alone here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from resource_api import errors
from resource_api.errors import Object
from resource_api.registry.store import ChangedError, KeyExistsError, KeyMissingError, Store, Stored

if TYPE_CHECKING:
    from raftkv.clock import Clock

PREFIX = "ranges/nodeports/"
TAKEN_TEXT = "provided port is already allocated"

DRAWS_MAX = 64
"""Random draws before the range is walked."""


class Owner(NamedTuple):
    """The Service that has a port."""

    namespace: str
    name: str
    uid: str


class Holding(msgspec.Struct):
    """The value of a port's key."""

    namespace: str
    name: str
    uid: str
    since_s: int


class NodePorts:
    """See the module. `ports` are those there are, ascending without gaps."""

    def __init__(self, store: Store, clock: Clock, ports: range) -> None:
        self._store = store
        self._clock = clock
        self._all = ports
        # The lowest thirty-second, 16 to 128 ports, is for those who choose their own (upstream's static band).
        self._band = min(max(len(ports) // 32, 16), 128) if len(ports) > 16 else 0

    def problem(self, port: int) -> str:
        """Why the port cannot be one of a Service; nothing when it can."""
        if port in self._all:
            return ""
        return f"provided port is not in the valid range. The range of valid ports is {self._all[0]}-{self._all[-1]}"

    async def claim(self, port: int, owner: Owner) -> int | None:
        """Takes a port: the proof of it, or None when it is somebody else's. One the Service has from a write that was lost is its own."""
        key, value = f"{PREFIX}{port}", msgspec.json.encode(Holding(*owner, int(self._clock.wall_s())))
        try:
            return await self._store.create(key, value)
        except KeyExistsError:
            pass
        try:
            stored = await self._store.get(key)
            if holding(stored).uid != owner.uid:
                return None
            return await self._store.update(key, value, expected_revision=stored.revision)
        except (KeyMissingError, ChangedError):
            return None

    async def draw(self, owner: Owner) -> tuple[int, int]:
        """Takes a free port; with its proof. Raises StatusError 500 when there is none."""
        for port in self._candidates(frozenset()):
            proof = await self.claim(port, owner)
            if proof is not None:
                return port, proof
        used = await self.held()
        for port in self._all:
            if port not in used:
                proof = await self.claim(port, owner)
                if proof is not None:
                    return port, proof
        raise errors.internal_error("failed to allocate a nodePort: range is full")

    def _candidates(self, used: frozenset[int]) -> Iterable[int]:
        choose = self._clock.random()
        for _ in range(DRAWS_MAX):
            port = choose.choice(self._all[self._band :])
            if port not in used:
                yield port

    async def imagined(self, used: frozenset[int]) -> int:
        """A port that could be drawn, for a dry run."""
        taken = used | (await self.held()).keys()
        port: int
        for port in (*self._candidates(taken), *self._all):
            if port not in taken:
                return port
        raise errors.internal_error("failed to allocate a nodePort: range is full")

    async def is_free(self, port: int, owner: Owner) -> bool:
        """Whether the Service could have it."""
        found = (await self.held()).get(port)
        return found is None or found[0].uid == owner.uid

    async def release(self, port: int, proof: int) -> None:
        """Gives back what was claimed with that proof, and nothing else."""
        try:
            await self._store.delete(f"{PREFIX}{port}", expected_revision=proof)
        except ChangedError:
            pass

    async def release_of(self, port: int, uid: str) -> None:
        """Gives back what that Service has, and nothing else."""
        try:
            stored = await self._store.get(f"{PREFIX}{port}")
        except KeyMissingError:
            return
        if holding(stored).uid == uid:
            await self.release(port, stored.revision)

    async def held(self) -> dict[int, tuple[Holding, int]]:
        """Every port that is taken: by whom, and the proof."""
        page = await self._store.list(PREFIX)
        return {int(stored.key.removeprefix(PREFIX)): (holding(stored), stored.revision) for stored in page.items}


def holding(stored: Stored) -> Holding:
    """Raises UndecodableError."""
    try:
        return msgspec.json.decode(stored.value, type=Holding)
    except msgspec.DecodeError as error:
        raise errors.UndecodableError(stored.key, stored.revision, str(error)) from error


def ports_of(spec: Object) -> set[int]:
    """The node ports a Service has."""
    ports = {int(one["nodePort"]) for one in spec.get("ports") or [] if one.get("nodePort")}
    return ports | ({int(spec["healthCheckNodePort"])} if spec.get("healthCheckNodePort") else set())
