"""The loads: h2load for requests that repeat, our own watchers for fan-out. A run with one refused request does not count."""

from __future__ import annotations

import asyncio
import json
import pathlib
import re
import subprocess
import time
from typing import NamedTuple

import msgspec

from resource_api.client import ApiClient, Connection, Kind
from tests.bench.api.processes import TOKEN, Served

MAPS = Kind("", "v1", "configmaps")
AUTHORIZATION = f"Authorization: Bearer {TOKEN}"


class Rate(NamedTuple):
    """One closed loop."""

    per_s: float
    cpu_us: float
    """Of the server, for one request."""
    mean_ms: float


def repeat(served: Served, path: str, *, clients: int, seconds: float, body: pathlib.Path | None = None) -> Rate:
    """Asks for one path over and over. Raises RuntimeError when an answer is not 2xx."""
    words = ["h2load", "--h1", "-t1", f"-c{clients}", "-D", f"{seconds:g}", "-H", AUTHORIZATION]
    if body is not None:
        words += ["-d", str(body), "-H", "Content-Type: application/json"]
    before = served.cpu_s()
    text = subprocess.run([*words, served.url + path], check=True, capture_output=True, text=True).stdout
    cpu_s = served.cpu_s() - before
    found = re.search(r"requests: (\d+) total.*?(\d+) done, (\d+) succeeded, (\d+) failed", text)
    codes = re.search(r"status codes: (\d+) 2xx", text)
    assert found is not None and codes is not None, text
    total, done, succeeded, failed = map(int, found.groups())
    if not done or succeeded < done or failed or int(codes[1]) < done:
        raise RuntimeError(f"refused requests:\n{text}")
    finished = re.search(r"finished in ([\d.]+)(m?s), ([\d.]+) req/s", text)
    mean = re.search(r"time for request: +\S+ +\S+ +([\d.]+)(us|ms|s)", text)
    assert finished is not None and mean is not None, text
    mean_ms = float(mean[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[mean[2]]
    return Rate(float(finished[3]), cpu_s / done * 1e6, mean_ms)


def client_of(served: Served) -> ApiClient:
    """With the administrator's token."""
    return ApiClient(Connection(served.url, TOKEN))


async def fill(served: Served, count: int, value_bytes: int) -> None:
    """ConfigMaps in the namespace default."""
    async with client_of(served) as client:

        async def some(first: int) -> None:
            for number in range(first, count, 16):
                obj = {"metadata": {"name": f"cm-{number:05}"}, "data": {"value": "v" * value_bytes}}
                await client.create(MAPS, obj, "default")

        async with asyncio.TaskGroup() as group:
            for first in range(16):
                group.create_task(some(first))


class FanOut(NamedTuple):
    """Events through many watchers."""

    delivered_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Of the server, for one event at one watcher; the write that caused it included."""


async def fan_out(served: Served, *, watchers: int, writes: int, per_s: float) -> FanOut:
    """Creates at an even pace, seen by every watcher; latency counts from before the create. Raises RuntimeError for a missing event."""
    due: dict[str, float] = {}
    latencies_s: list[float] = []
    ready = asyncio.Semaphore(0)
    async with client_of(served) as client:
        version = (await client.list(MAPS, "kube-public", limit="1"))["metadata"]["resourceVersion"]

        async def watch() -> None:
            seen = 0
            async with client.watch(MAPS, "kube-public", resourceVersion=version, timeoutSeconds="60") as events:
                ready.release()
                async for event in events:
                    if event.type == "ADDED" and event.object["metadata"]["name"] in due:
                        latencies_s.append(time.monotonic() - due[event.object["metadata"]["name"]])
                        seen += 1
                        if seen == writes:
                            return

        async with asyncio.TaskGroup() as group:
            for _ in range(watchers):
                group.create_task(watch())
            for _ in range(watchers):
                await ready.acquire()
            before, begun_s = served.cpu_s(), time.monotonic()
            for number in range(writes):
                await asyncio.sleep(max(0.0, begun_s + number / per_s - time.monotonic()))
                name = f"fan-{version}-{number}"
                due[name] = time.monotonic()
                await client.create(MAPS, {"metadata": {"name": name}, "data": {"value": "v" * 512}}, "kube-public")
        took_s, cpu_s = time.monotonic() - begun_s, served.cpu_s() - before
    expected = watchers * writes
    if len(latencies_s) != expected:
        raise RuntimeError(f"{len(latencies_s)} events of {expected}")
    latencies_s.sort()
    return FanOut(expected / took_s, latencies_s[expected // 2] * 1000, latencies_s[expected * 99 // 100] * 1000, cpu_s / expected * 1e6)


def create_body(folder: pathlib.Path, value_bytes: int) -> pathlib.Path:
    """A ConfigMap without a name of its own: posted again and again it makes a new one each time."""
    path = folder / "create.json"
    path.write_text(json.dumps({"metadata": {"generateName": "made-"}, "data": {"value": "v" * value_bytes}}))
    return path


def page_path(served: Served, limit: int) -> str:
    """A page in the middle of the list: the continue token of its first page is used again and again."""
    import urllib.request

    path = f"{MAPS.path('default')}?limit={limit}"
    request = urllib.request.Request(served.url + path, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request) as answer:
        return f"{path}&continue={msgspec.json.decode(answer.read())['metadata']['continue']}"
