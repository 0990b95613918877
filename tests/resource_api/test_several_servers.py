"""Two API servers as processes over one member as a process, as OPERATIONS.md has them: one folder of certificates, one store."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import pathlib
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import aiohttp
import pytest

from raftkv.client import AsyncClient
from resource_api.client import ApiClient, Connection, Kind, read_kubeconfig
from resource_api.controllers.queue import FAULT_TEXT
from resource_api.errors import UNREAD, Object, StatusError
from tests.client.servers import running
from tests.resource_api.plane import CONFIG_MAPS, DEFINITIONS, NAMESPACES, SECRETS, SERVICE_ACCOUNTS, SERVICES
from tests.resource_api.world import config_map, owner

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]

TIMEOUT_S = 60.0
PORTS = range(30000, 30016)
WIDGETS = Kind("example.com", "v1", "widgets")
DEFINITION: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"plural": "widgets", "kind": "Widget"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


class Server(NamedTuple):
    """One of the two."""

    process: subprocess.Popen[str]
    kubeconfig: pathlib.Path
    log: pathlib.Path


@contextlib.contextmanager
def two_servers(folder: pathlib.Path, certificates: tuple[str, str] = ("pki", "pki")) -> Iterator[tuple[Server, Server, str]]:
    """Started at once, with these folders of certificates, and their store's endpoint; ended by their own ids, in order if they run."""
    with running("raftkv", folder) as member, contextlib.ExitStack() as stack:
        started = [_start(folder, f"api{number}", member.endpoint, certificates[number]) for number in range(2)]
        for server in started:
            stack.callback(_end, server)
        for server in started:
            assert server.process.stdout is not None
            # The last line of a start: the kubeconfig is written.
            for line in server.process.stdout:
                if "KUBECONFIG" in line:
                    break
            else:
                raise AssertionError(server.log.read_text())
        yield started[0], started[1], member.endpoint
        assert not [line for server in started for line in server.log.read_text().splitlines() if "Traceback" in line or FAULT_TEXT in line]


def _start(folder: pathlib.Path, name: str, endpoint: str, certificates: str) -> Server:
    kubeconfig, log = folder / f"{name}.kubeconfig", folder / f"{name}.log"
    flags = [
        f"--etcd-servers=http://{endpoint}",
        f"--cert-dir={folder / certificates}",
        "--secure-port=0",
        f"--write-kubeconfig={kubeconfig}",
    ]
    flags.append(f"--service-node-port-range={PORTS[0]}-{PORTS[-1]}")
    with log.open("w") as errors:
        process = subprocess.Popen([sys.executable, "-m", "resource_api", *flags], stdout=subprocess.PIPE, stderr=errors, text=True)
    return Server(process, kubeconfig, log)


def _end(server: Server) -> None:
    server.process.terminate()
    try:
        server.process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.communicate()


async def until(asked: Callable[[], Awaitable[bool]]) -> None:
    """Asks again and again; another process is waited for."""
    async with asyncio.timeout(TIMEOUT_S):
        while not await asked():  # noqa: ASYNC110  # another process shares no event with the test
            await asyncio.sleep(0.05)


async def test_two_servers_over_one_store_are_one_cluster(tmp_path: pathlib.Path):
    """What one writes the other serves at once; nothing is given out twice, nothing is lost, and at rest nobody writes. Killing one leaves
    the other as it was."""
    with two_servers(tmp_path) as (one, other, endpoint):
        async with ApiClient(read_kubeconfig(one.kubeconfig)) as a, ApiClient(read_kubeconfig(other.kubeconfig)) as b:
            await writes_are_seen_through_the_other(a, b)
            await nothing_is_given_out_twice(a, b)
            await controllers_agree(a, b)
            await credentials_hold_everywhere(
                read_kubeconfig(one.kubeconfig), read_kubeconfig(other.kubeconfig), tmp_path / "pki" / "ca.crt"
            )
            await damage_holds_everywhere_until_it_is_deleted(a, b, endpoint)
            await at_rest_nobody_writes(a, b)
            async with watching(b) as told:
                one.process.kill()
                await b.create(CONFIG_MAPS, config_map("after"), "default")
                async with asyncio.timeout(TIMEOUT_S):
                    assert (await anext(told))["metadata"]["name"] == "after"
            with pytest.raises((aiohttp.ClientError, StatusError)):
                await a.get(CONFIG_MAPS, "after", "default")
            await b.delete(DEFINITIONS, "widgets.example.com")
            await until(lambda: is_gone(b, DEFINITIONS, "widgets.example.com"))


async def test_servers_with_folders_of_their_own_are_both_trusted_inside(tmp_path: pathlib.Path):
    """Whoever forgot to share the folder gets a bundle by which either server can be checked, a word in the log, and no endless writes."""
    token: Object = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token"}
    token["metadata"] = {"name": "t", "annotations": {"kubernetes.io/service-account.name": "default"}}
    authorities = []

    async def has_both(client: ApiClient, kind: Kind, name: str, namespace: str) -> bool:
        if not await is_there(client, kind, name, namespace):
            return False
        text = str(((await client.get(kind, name, namespace)).get("data") or {}).get("ca.crt") or "")
        text = text if kind is CONFIG_MAPS else base64.b64decode(text).decode()
        return all(one in text for one in authorities) and text.count("BEGIN") == 2

    with two_servers(tmp_path, ("one", "other")) as (one, other, _):
        authorities += [(tmp_path / name / "ca.crt").read_text().strip() for name in ("one", "other")]
        async with ApiClient(read_kubeconfig(one.kubeconfig)) as a, ApiClient(read_kubeconfig(other.kubeconfig)) as b:
            await a.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
            await until(lambda: is_there(b, SERVICE_ACCOUNTS, "default", "n"))
            await b.create(SECRETS, token, "n")
            for namespace in ("kube-system", "default", "n"):
                await until(lambda namespace=namespace: has_both(a, CONFIG_MAPS, "kube-root-ca.crt", namespace))
            await until(lambda: has_both(b, SECRETS, "t", "n"))
            await at_rest_nobody_writes(a, b)
        said = one.log.read_text() + other.log.read_text()
        assert "Give all one --cert-dir" in said and "again and again" not in said


async def writes_are_seen_through_the_other(a: ApiClient, b: ApiClient) -> None:
    """By a consistent read and list at once, by a watch in order."""
    async with watching(b) as told:
        written = []
        for number in range(20):
            writer, reader = (a, b) if number % 2 else (b, a)
            made = await writer.create(CONFIG_MAPS, config_map(f"c{number}"), "default")
            assert await reader.get(CONFIG_MAPS, f"c{number}", "default") == made
            assert f"c{number}" in [one["metadata"]["name"] for one in (await reader.list(CONFIG_MAPS, "default"))["items"]]
            written.append(made)
        async with asyncio.timeout(TIMEOUT_S):
            assert [await anext(told) for _ in written] == written
    # Of two who change the same version one is refused.
    fresh = await a.get(CONFIG_MAPS, "c0", "default")
    await a.update(CONFIG_MAPS, {**fresh, "data": {"a": "1"}})
    with pytest.raises(StatusError, match="the object has been modified"):
        await b.update(CONFIG_MAPS, {**fresh, "data": {"b": "1"}})


@contextlib.asynccontextmanager
async def watching(client: ApiClient) -> AsyncIterator[AsyncIterator[Object]]:
    """ConfigMaps as they are made in `default` from now on."""
    version = (await client.list(CONFIG_MAPS, "default"))["metadata"]["resourceVersion"]
    async with client.watch(CONFIG_MAPS, "default", resourceVersion=version) as events:

        async def made() -> AsyncIterator[Object]:
            async for event in events:
                if event.type == "ADDED":
                    yield event.object

        yield made()


async def nothing_is_given_out_twice(a: ApiClient, b: ApiClient) -> None:
    """More Services at once than there are node ports: each port is given once, who gets none leaves no address behind."""
    spec = {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}

    async def make(number: int) -> Object | None:
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"s{number}"}, "spec": spec}
        try:
            return await (a, b)[number % 2].create(SERVICES, body, "default")
        except StatusError as error:
            assert "range is full" in error.message
            return None

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(make(number)) for number in range(len(PORTS) + 6)]
    made = [found for task in tasks if (found := task.result()) is not None]
    assert sorted(one["spec"]["ports"][0]["nodePort"] for one in made) == list(PORTS)
    addresses = {one["metadata"]["name"]: one["spec"]["clusterIP"] for one in (await a.list(SERVICES))["items"]}
    assert len(set(addresses.values())) == len(addresses) == len(PORTS) + 1
    held = Kind("networking.k8s.io", "v1", "ipaddresses")
    await until(lambda: names_are(b, held, list(addresses.values())))
    for number, service in enumerate(made):
        await (b, a)[number % 2].delete(SERVICES, service["metadata"]["name"], "default")
    await until(lambda: names_are(a, held, [addresses["kubernetes"]]))


async def controllers_agree(a: ApiClient, b: ApiClient) -> None:
    """Both collect, both finish namespaces, both establish definitions."""
    await a.create(DEFINITIONS, DEFINITION)
    await until(lambda: serves(b, WIDGETS))
    for number in range(4):
        name = f"n{number}"
        await a.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        await until(lambda name=name: is_there(b, SERVICE_ACCOUNTS, "default", name))
        top = await b.create(CONFIG_MAPS, config_map("top", name), name)
        for client in (a, b):
            metadata = {"generateName": "w", "ownerReferences": [owner(top)]}
            await client.create(WIDGETS, {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata}, name)
            await client.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"generateName": "s"}}, name)
    await b.delete(CONFIG_MAPS, "top", "n0")
    await until(lambda: names_are(a, WIDGETS, [], "n0"))
    assert len((await a.list(SECRETS, "n0"))["items"]) == 2
    assert len((await a.list(WIDGETS, "n1"))["items"]) == 2
    for number, client in enumerate((a, b, a)):
        await client.delete(NAMESPACES, f"n{number}")
    for number in range(3):
        await until(lambda number=number: is_gone(b, NAMESPACES, f"n{number}"))
    assert await is_there(a, CONFIG_MAPS, "top", "n3")


async def credentials_hold_everywhere(one: Connection, other: Connection, authority: pathlib.Path) -> None:
    """The administrator's certificate of either is taken by both, and a token of one by the other: CA and key are the folder's."""
    async with ApiClient(replace(other, tls=one.tls)) as crossed, ApiClient(one) as first:
        await crossed.get(NAMESPACES, "default")
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        answer = await first.create(SERVICE_ACCOUNTS, asked, "kube-system", name="default", subresource="token")
    # No certificate this time: it would come first.
    plain = Connection(other.server, answer["status"]["token"], ssl.create_default_context(cafile=authority))
    async with ApiClient(plain) as account:
        reviews = Kind("authentication.k8s.io", "v1", "selfsubjectreviews")
        review = await account.create(reviews, {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    assert review["status"]["userInfo"]["username"] == "system:serviceaccount:kube-system:default"


async def damage_holds_everywhere_until_it_is_deleted(a: ApiClient, b: ApiClient, endpoint: str) -> None:
    """A quota nobody can read refuses through both; deleted unread through one, it is gone for the other."""
    async with AsyncClient([f"http://{endpoint}"]) as store:
        await store.put("/registry/resourcequotas/n3/q", "damaged")
    # Admission hears of it by a watch.
    await until(lambda: is_refused(a, "n3"))
    await until(lambda: is_refused(b, "n3"))
    await b.delete(Kind("", "v1", "resourcequotas"), "q", "n3", **{UNREAD: "true"})
    await until(lambda: is_made(a, "n3"))


async def is_refused(client: ApiClient, namespace: str) -> bool:
    """Whether nothing can be made there, and the refusal says why."""
    try:
        await client.create(CONFIG_MAPS, {**config_map(namespace=namespace), "metadata": {"generateName": "c"}}, namespace)
    except StatusError as error:
        assert error.reason == "StorageReadError"
        return True
    return False


async def is_made(client: ApiClient, namespace: str) -> bool:
    """Whether something can."""
    return not await is_refused(client, namespace)


async def at_rest_nobody_writes(a: ApiClient, b: ApiClient) -> None:
    """Two controllers of one kind that disagreed would write for ever."""

    async def revision(client: ApiClient) -> str:
        return str((await client.list(CONFIG_MAPS, "kube-public"))["metadata"]["resourceVersion"])

    async with asyncio.timeout(TIMEOUT_S):
        before = ""
        while before != (now := await revision(a)):
            before = now
            await asyncio.sleep(1)  # What would be written is.
    assert await revision(b) == before


async def serves(client: ApiClient, kind: Kind) -> bool:
    """Whether it knows the kind."""
    try:
        await client.list(kind)
    except StatusError as error:
        assert error.code == 404
        return False
    return True


async def is_there(client: ApiClient, kind: Kind, name: str, namespace: str = "") -> bool:
    """Whether it answers the object."""
    try:
        await client.get(kind, name, namespace)
    except StatusError as error:
        assert error.code == 404
        return False
    return True


async def is_gone(client: ApiClient, kind: Kind, name: str, namespace: str = "") -> bool:
    """Whether it does not."""
    return not await is_there(client, kind, name, namespace)


async def names_are(client: ApiClient, kind: Kind, names: Sequence[str], namespace: str = "") -> bool:
    """Whether exactly these are there."""
    return sorted(one["metadata"]["name"] for one in (await client.list(kind, namespace))["items"]) == sorted(names)
