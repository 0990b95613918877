"""Certificates renewed while the server runs: what new connections get, what a shared folder and given files make of it, what fails."""

from __future__ import annotations

import asyncio
import logging
import pathlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from jepsen_like.sim.loop import VirtualLoop
from raftkv.clock import SystemClock
from resource_api.security.certificates import Leaf, Pair, has_time_left, open_authority, open_leaf, serving_leaf
from resource_api.security.material import Material, Paths, open_material
from resource_api.security.renewal import LOOK_EVERY_S, Renewal
from tests.resource_api.security.cluster import SetClock

DAY_S = 86400.0
LEAF = serving_leaf(service_ip="10.0.0.1")


class Loop(VirtualLoop):
    """Threads whose work takes no time."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except BaseException as error:
            done.set_exception(error)
        return done


@dataclass
class Server:
    """One that began at `clock`, with what it was handed of new administrators."""

    paths: Paths
    clock: SetClock
    material: Material = field(init=False)
    renewal: Renewal = field(init=False)
    admins: list[Pair] = field(default_factory=list)
    trusted: list[tuple[x509.Certificate, ...]] = field(default_factory=list)
    """Whose certificates are users', each time it changed."""

    def trust(self, client_authorities: tuple[x509.Certificate, ...], proxy_authorities: tuple[x509.Certificate, ...]) -> None:
        assert not proxy_authorities
        self.trusted.append(client_authorities)

    def __post_init__(self) -> None:
        self.material = open_material(self.paths, self.clock, LEAF)
        self.renewal = Renewal(self.paths, self.material, LEAF, self.clock)

    def served(self, *, name: str = "localhost", admin: Pair | None = None) -> x509.Certificate:
        """The certificate a new connection is served with. With `admin` the client shows that one, and the server takes it."""
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        if admin is not None:
            client.load_cert_chain(admin.certificate_path, admin.key_path)
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        asking = client.wrap_bio(down, up, server_hostname=name)
        answering = self.material.tls.wrap_bio(up, down, server_side=True)
        for _ in range(3):
            for side in (asking, answering):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        shown = answering.getpeercert(binary_form=True)
        assert shown == (None if admin is None else admin.certificate.public_bytes(Encoding.DER))
        der = asking.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der)


def play(scenario: Callable[[], Awaitable[None]], *servers: Server) -> None:
    """Their renewals run meanwhile."""

    async def body() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.renewal.run(one.admins.append, one.trust)) for one in servers]
            await scenario()
            for task in tasks:
                task.cancel()

    loop = Loop(0)
    loop.run_until_complete(body())
    assert not loop.callback_errors


def now(days: float = 0.0) -> SetClock:
    """A calendar so many days from today: TLS itself knows no other."""
    clock = SetClock()
    clock.now_s = SystemClock().wall_s() + days * DAY_S
    return clock


async def looked() -> None:
    """Every server has looked once more."""
    await asyncio.sleep(LOOK_EVERY_S + 1)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_new_connections_get_a_certificate_that_was_renewed_well_before_the_end(tmp_path: pathlib.Path, name: str):
    """With a server name in the handshake or without; the administrator's is renewed too, and is taken by the server."""
    server = Server(Paths(tmp_path), now(-299))
    first = server.served(name=name)

    async def scenario() -> None:
        server.clock.now_s += 290 * DAY_S
        await looked()
        assert server.served(name=name) == first
        server.clock.now_s += 9 * DAY_S
        await looked()
        second = server.served(name=name)
        assert second != first
        assert has_time_left(second, server.clock)
        second.verify_directly_issued_by(server.material.authority.pair.certificate)
        (admin,) = server.admins
        assert admin.certificate != server.material.admin.certificate
        assert server.served(name=name, admin=admin) == second
        await looked()
        assert server.served(name=name) == second

    play(scenario, server)
    assert open_material(server.paths, server.clock, LEAF).served_from == server.renewal._served_from
    assert len(server.admins) == 1


def test_servers_of_one_folder_renew_once(tmp_path: pathlib.Path):
    """The second one finds what the first one made."""
    clock = now(-299)
    servers = [Server(Paths(tmp_path), clock) for _ in range(2)]

    async def scenario() -> None:
        clock.now_s += 299 * DAY_S
        await looked()
        assert servers[0].served() == servers[1].served() != x509.load_pem_x509_certificate(servers[0].material.served_from[0])
        assert [one.certificate for one in servers[0].admins] == [one.certificate for one in servers[1].admins]

    play(scenario, *servers)


def test_given_certificate_is_read_anew_when_its_files_change(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture):
    """Half a change is served by nobody: until certificate and key belong together, the old pair is."""
    clock = now()
    made = open_authority(tmp_path / "theirs", clock)
    pairs = [open_leaf(made, tmp_path / "theirs", f"leaf{number}", LEAF, clock) for number in range(2)]
    given = Paths(tmp_path / "pki", serving_certificate=str(tmp_path / "tls.crt"), serving_key=str(tmp_path / "tls.key"))
    (tmp_path / "tls.crt").write_bytes(pairs[0].certificate_pem)
    (tmp_path / "tls.key").write_bytes(pairs[0].key_pem)
    server = Server(given, clock)

    async def scenario() -> None:
        await looked()
        assert server.served() == pairs[0].certificate
        (tmp_path / "tls.crt").write_bytes(pairs[1].certificate_pem)
        await looked()
        await looked()
        assert server.served() == pairs[0].certificate
        (told,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert told.startswith(f"certificates are served on as they are: {tmp_path}/tls.crt with {tmp_path}/tls.key: ")
        (tmp_path / "tls.key").write_bytes(pairs[1].key_pem)
        await looked()
        assert server.served() == pairs[1].certificate
        (tmp_path / "tls.key").unlink()
        await looked()
        assert server.served() == pairs[1].certificate

    play(scenario, server)
    assert "tls.key" in caplog.text


def test_given_client_authority_is_read_anew_when_its_file_changes(tmp_path: pathlib.Path):
    """Who has a certificate of the new one comes in, over new connections, and who has one of the old one does not."""
    clock = now()
    made = [open_authority(tmp_path / str(number), clock, f"ca{number}") for number in range(2)]
    users = [open_leaf(one, one.pair.certificate_path.parent, "user", Leaf("jane"), clock) for one in made]
    given = tmp_path / "clients.crt"
    given.write_bytes(made[0].pair.certificate_pem)
    server = Server(Paths(tmp_path / "pki", client_authority=str(given)), clock)

    async def scenario() -> None:
        server.served(admin=users[0])
        with pytest.raises(ssl.SSLError):
            server.served(admin=users[1])
        given.write_bytes(made[1].pair.certificate_pem)
        await looked()
        await looked()
        server.served(admin=users[1])
        server.served(admin=server.renewal.admin)
        with pytest.raises(ssl.SSLError):
            server.served(admin=users[0])
        given.write_bytes(b"half")
        await looked()
        server.served(admin=users[1])

    play(scenario, server)
    assert server.trusted == [(server.material.authority.pair.certificate, made[1].pair.certificate)]


def test_other_authority_in_the_folder_is_told_and_nothing_is_signed_over_it(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture):
    """Another server began anew there: this one's clients trust the old one until it restarts."""
    server = Server(Paths(tmp_path), now(-299))
    first = server.served()
    for path in tmp_path.iterdir():
        path.unlink()

    async def scenario() -> None:
        server.clock.now_s += 299 * DAY_S
        other = Server(Paths(tmp_path), server.clock)
        await looked()
        assert server.served() == first
        assert other.served() == x509.load_pem_x509_certificate((tmp_path / "apiserver.crt").read_bytes()) != first
        await looked()

    play(scenario, server)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "is no longer the authority this server began with" in caplog.text


def test_kubeconfig_that_could_not_be_written_is_written_later(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture):
    """A full disk does not cost the administrator the new certificate."""
    server = Server(Paths(tmp_path), now(-299))
    refusals = [OSError(28, "No space left on device")]

    def write(admin: Pair) -> None:
        if refusals:
            raise refusals.pop()
        server.admins.append(admin)

    async def body() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(server.renewal.run(write, server.trust))
            server.clock.now_s += 299 * DAY_S
            await looked()
            assert "No space left" in caplog.text
            await looked()
            await looked()
            task.cancel()

    Loop(0).run_until_complete(body())
    assert len(server.admins) == 1


def test_end_of_the_authority_is_told_in_time(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture):
    """Nothing can be done about it but by hand: every client trusts it."""
    server = Server(Paths(tmp_path), now(-3000))

    async def scenario() -> None:
        server.clock.now_s += 3000 * DAY_S
        await looked()
        await looked()

    play(scenario, server)
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert "a restart makes a new authority" in told[0]
    assert server.served().not_valid_after_utc <= server.material.authority.pair.certificate.not_valid_after_utc
