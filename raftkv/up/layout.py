"""Where a local cluster lives: its directory, its members' ports, and the lock that keeps a second one out.

Under the directory: `cluster.json` (names and ports, written once: member ids come from the peer URLs, so these never change
again), `lock`, and for each member `NAME/data`, `NAME/log` (the run before it: `NAME/log.1`) and `NAME/pid`.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import pathlib
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass

HOST = "127.0.0.1"
CLIENT_PORT = 2379
PORT_MAX = 65_535
FREE_PORTS = range(23_000, 32_000)
"""Between what people choose and what systems give to outgoing connections (from 32 768 on Linux)."""

PORTS_APART = 32

WELL_KNOWN_MEMBERS_MAX = 6
"""2379, 22379 … 62379: one more would pass the last port."""


class UpError(Exception):
    """The cluster cannot be started; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one member lives."""

    name: str
    client_port: int
    peer_port: int

    @property
    def client_url(self) -> str:
        """As clients take it."""
        return f"http://{HOST}:{self.client_port}"

    @property
    def peer_url(self) -> str:
        """As the other members take it; decides the member's id."""
        return f"http://{HOST}:{self.peer_port}"


@contextlib.contextmanager
def locked(folder: pathlib.Path) -> Iterator[None]:
    """Makes the directory and holds it for this process; raises UpError saying who has it already."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "lock"
    with open(path, "a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise UpError(f"a cluster is running from {folder} already (process {owner}); stop it, or choose another --data-dir") from exc
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def layout(folder: pathlib.Path, members: int | None, base_port: int | None) -> list[Place]:
    """The members and their ports: those of the directory when it holds a cluster, new ones otherwise.

    Raises UpError when what was asked for contradicts what is there, or when a port that cannot change is taken.
    """
    file = folder / "cluster.json"
    if not file.exists():
        places = _new_places(3 if members is None else members, base_port)
        staged = file.with_suffix(".tmp")
        staged.write_text(json.dumps([asdict(place) for place in places], indent=1) + "\n", encoding="ascii")
        staged.rename(file)
        return places
    places = _read(file)
    if members not in (None, len(places)):
        raise UpError(
            f"{folder} holds a cluster of {len(places)} members; leave --members out, choose another --data-dir, or remove {folder}"
        )
    if base_port not in (None, places[0].client_port):
        raise UpError(f"{folder} holds a cluster on port {places[0].client_port}; leave --base-port out, or choose another --data-dir")
    for place in places:
        for port in (place.client_port, place.peer_port):
            if not is_free(port):
                raise UpError(f"port {port} of {place.name} is in use{_left_over(folder, place)}; free it, or choose another --data-dir")
    return places


def _read(file: pathlib.Path) -> list[Place]:
    try:
        places = [Place(str(entry["name"]), int(entry["client_port"]), int(entry["peer_port"])) for entry in json.loads(file.read_bytes())]
    except (ValueError, KeyError, TypeError) as exc:
        raise UpError(
            f"{file} cannot be read ({exc}); it holds the ports of the cluster: restore it, or choose another --data-dir"
        ) from exc
    if not places:
        raise UpError(f"{file} names no member; choose another --data-dir")
    return places


def _left_over(folder: pathlib.Path, place: Place) -> str:
    try:
        process = int((folder / place.name / "pid").read_text(encoding="ascii"))
        os.kill(process, 0)
    except (OSError, ValueError):
        return ""
    return f", perhaps by process {process} that an earlier run left behind"


def _new_places(members: int, base_port: int | None) -> list[Place]:
    if base_port is not None:
        places = [Place(f"n{i + 1}", base_port + 2 * i, base_port + 2 * i + 1) for i in range(members)]
        if not 0 < base_port <= PORT_MAX - 2 * members + 1:
            raise UpError(f"--base-port {base_port} leaves no room for {members} members: ports are 1 to {PORT_MAX}")
        taken = [port for place in places for port in (place.client_port, place.peer_port) if not is_free(port)]
        if taken:
            raise UpError(f"in use: port {', '.join(map(str, taken))}; choose another --base-port")
        return places
    if members <= WELL_KNOWN_MEMBERS_MAX:
        # etcd's own local clusters use 2379, 22379 and 32379.
        places = [
            Place(f"n{i + 1}", CLIENT_PORT + 10_000 * (i + 1 if i else 0), CLIENT_PORT + 10_000 * (i + 1 if i else 0) + 1)
            for i in range(members)
        ]
        if places[-1].peer_port < 65_536 and all(is_free(port) for place in places for port in (place.client_port, place.peer_port)):
            return places
        print(f"port {CLIENT_PORT} or one of its siblings is in use; taking free ones", flush=True)
    ports = free_ports(2 * members)
    return [Place(f"n{i + 1}", ports[2 * i], ports[2 * i + 1]) for i in range(members)]


def is_free(port: int) -> bool:
    """Whether this process could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            return False
        return True


def free_ports(count: int) -> list[int]:
    """Different ports on which this process could listen now.

    Not the system's choice: that is of the range of outgoing connections, and a layout keeps its ports, so that one day somebody's
    client would sit on one while the cluster is down. Processes that choose at the same time begin at different places.
    """
    first = os.getpid() * PORTS_APART % len(FREE_PORTS)
    candidates = itertools.chain(FREE_PORTS[first:], FREE_PORTS[:first])
    ports = list(itertools.islice(filter(is_free, candidates), count))
    if len(ports) < count:
        raise UpError(f"no {count} free ports between {FREE_PORTS.start} and {FREE_PORTS.stop - 1}; choose some with --base-port")
    return ports
