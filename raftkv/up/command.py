"""The command `raftkv up`: its arguments, its signals, and the life of the cluster from first to last."""

from __future__ import annotations

import argparse
import asyncio
import pathlib
import signal
import sys
from collections.abc import Callable, Sequence

from raftkv.up.cluster import LocalCluster
from raftkv.up.layout import UpError, layout, locked

MEMBERS_MAX = 9


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the sub-command's arguments; everything after `--` goes to every member. Exits 2 on a wrong one."""
    own, handed_on = list(arguments), []
    if "--" in own:
        handed_on = own[own.index("--") + 1 :]
        own = own[: own.index("--")]
    parser = argparse.ArgumentParser(prog="raftkv up", description="Start a local cluster; Ctrl-C stops it and keeps its data.")
    parser.add_argument(
        "--members", type=int, default=None, metavar="N", help="how many members; 3 unless the directory holds a cluster already"
    )
    parser.add_argument("--data-dir", default=".raftkv", metavar="DIR", help="where data, logs and ports are kept (default: %(default)s)")
    parser.add_argument("--base-port", type=int, default=None, metavar="PORT", help="first of two adjacent ports for each member")
    parser.add_argument(
        "--kubernetes", action="store_true", help="start a Kubernetes API server on the cluster too, and print its kubeconfig"
    )
    parser.epilog = "What follows `--` is handed to every member: raftkv up -- --heartbeat-interval=50"
    options = parser.parse_args(own)
    if options.members is not None and not 1 <= options.members <= MEMBERS_MAX:
        parser.error(f"--members must be between 1 and {MEMBERS_MAX}")
    options.handed_on = handed_on
    return options


def run(arguments: Sequence[str]) -> int:
    """The whole life of the cluster; returns the exit status."""
    options = parse(arguments)
    folder = pathlib.Path(options.data_dir)
    try:
        with locked(folder):
            places = layout(folder, options.members, options.base_port)
            return asyncio.run(_run(LocalCluster(folder, places, options.handed_on, kubernetes=options.kubernetes)))
    except (UpError, OSError) as exc:
        print(f"raftkv up: {exc}", file=sys.stderr)
        return 1


async def _run(cluster: LocalCluster) -> int:
    signals = _Signals(cluster.kill)
    try:
        if await cluster.start(signals.first):
            cluster.print_endpoints()
            await cluster.watch(signals.first)
    finally:
        await cluster.stop()
    return 0 if signals.first.is_set() else 1


class _Signals:
    """The first SIGINT or SIGTERM asks for an orderly stop, the second one ends it."""

    def __init__(self, on_second: Callable[[], None]) -> None:
        self.first = asyncio.Event()
        self._on_second = on_second
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._received)

    def _received(self) -> None:
        if self.first.is_set():
            self._on_second()
        self.first.set()
