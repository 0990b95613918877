"""`make bench-api`: one run against 3 000 ConfigMaps of 512 bytes, one table. Needs h2load."""

from __future__ import annotations

import argparse
import asyncio
import os
import pathlib
import platform
import tempfile

from tests.bench.api import loads
from tests.bench.api.loads import MAPS, Rate
from tests.bench.api.processes import api_server, echo_server

TARGETS = {"GET": 6000.0, "LIST all": 100.0, "create": 1000.0}
"""What the project asks for, a second, with client and server on two cores."""

READY_MS_MAX, MEMORY_MB_MAX = 1000, 150


def main() -> None:
    """Measures and prints."""
    asked = _arguments()
    print(f"CPython {platform.python_version()}, {os.cpu_count()} cores, load average before {os.getloadavg()[0]:.1f}")
    # On the disk of the checkout: what a write costs is asked too, and memory would hide it.
    root = pathlib.Path(".raftkv")
    root.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as name, echo_server(asked.port) as echo:
        folder = pathlib.Path(name)
        starts = [_start(folder / name, asked.port) for name in ("first", "empty", "empty")]
        _print_starts(*starts)
        with api_server(folder / "measured", secure_port=asked.port + 1, port=asked.port + 2) as (api, _):
            asyncio.run(loads.fill(api, asked.objects, asked.bytes))
            get = f"{MAPS.path('default')}/cm-00042"
            seconds = asked.seconds
            bare = loads.repeat(echo, "/", clients=16, seconds=seconds)
            rows = [("bare echo", bare)]
            rows.append(("GET", loads.repeat(api, get, clients=16, seconds=seconds)))
            rows.append(("GET rv=0", loads.repeat(api, get + "?resourceVersion=0", clients=16, seconds=seconds)))
            rows.append(("LIST page of 500", loads.repeat(api, loads.page_path(api, 500), clients=8, seconds=seconds)))
            rows.append(("LIST all", loads.repeat(api, MAPS.path("default"), clients=4, seconds=seconds)))
            body = loads.create_body(folder, asked.bytes)
            rows.append(("create", loads.repeat(api, MAPS.path("kube-system"), clients=32, seconds=seconds, body=body)))
            _print(rows, bare)
            fan = asyncio.run(loads.fan_out(api, watchers=asked.watchers, writes=asked.writes, per_s=asked.pace))
            print(
                f"watch: {asked.watchers} watchers, {asked.pace:g} writes/s: {fan.delivered_per_s:.0f} events/s, p50 {fan.p50_ms:.1f} ms, "
                f"p99 {fan.p99_ms:.1f} ms, {fan.cpu_us:.1f} us of the server's CPU per event"
            )
            print(f"memory at the end {api.memory_mb():.0f} MB")


def _start(folder: pathlib.Path, port: int) -> tuple[float, float]:
    """Milliseconds from exec to readiness, and megabytes when idle."""
    with api_server(folder, secure_port=port + 1, port=port + 2) as (api, seconds):
        return seconds * 1000, api.memory_mb()


def _print_starts(first: tuple[float, float], empty: tuple[float, float], used: tuple[float, float]) -> None:
    """The very first start compiles what was never run."""
    print(f"{'start':18}{'ready ms':>10}{'target':>8}{'idle MB':>10}{'target':>8}")
    for name, (ms, memory_mb) in (("first of all", first), ("empty folder", empty), ("used folder", used)):
        print(f"{name:18}{ms:>10.0f}{READY_MS_MAX:>8}{memory_mb:>10.0f}{MEMORY_MB_MAX:>8}")


def _print(rows: list[tuple[str, Rate]], bare: Rate) -> None:
    print(f"{'':18}{'per s':>10}{'target':>8}{'mean ms':>10}{'CPU us':>10}{'of echo':>9}")
    for name, rate in rows:
        target = f"{TARGETS[name]:.0f}" if name in TARGETS else ""
        print(f"{name:18}{rate.per_s:>10.0f}{target:>8}{rate.mean_ms:>10.2f}{rate.cpu_us:>10.1f}{rate.per_s / bare.per_s:>9.2f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.bench.api", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each loop")
    parser.add_argument("--objects", type=int, default=3000)
    parser.add_argument("--bytes", type=int, default=512)
    parser.add_argument("--watchers", type=int, default=100)
    parser.add_argument("--writes", type=int, default=200, help="seen by the watchers")
    parser.add_argument("--pace", type=float, default=50.0, help="writes a second during fan-out")
    parser.add_argument("--port", type=int, default=26300, help="the first of three ports")
    return parser.parse_args()


if __name__ == "__main__":
    main()
