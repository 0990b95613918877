"""The processes of a local cluster: start, wait until healthy, report, stop.

Knows of a member only what its flags, its `/health` and its exit status say. Restarts nothing: a member that ends is reported
and stays down, because seeing what a cluster does then is a reason to run one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import shutil
import sys
from collections.abc import Mapping, Sequence

from raftkv import ETCD_VERSION, __version__
from raftkv.clock import SystemClock
from raftkv.up.api_server import ApiServerProcess
from raftkv.up.health import unhealthy_because
from raftkv.up.layout import HOST, Place, UpError

HEALTHY_WITHIN_S = 60.0
STOPPED_WITHIN_S = 30.0
POLL_S = 0.1
REPORT_S = 2.0
HEALTH_WITHIN_S = 1.0
LOG_LINES_SHOWN = 12


class LocalCluster:
    """The processes of one cluster.

    Invariants: 1. a member is started at most once. 2. after `stop` none of them runs.
    """

    def __init__(self, folder: pathlib.Path, places: Sequence[Place], handed_on: Sequence[str], *, kubernetes: bool = False) -> None:
        self._folder = folder
        self._places = list(places)
        self._handed_on = list(handed_on)
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._now_s = SystemClock().monotonic_s
        self._api_server = ApiServerProcess(folder, self._places, self._now_s) if kubernetes else None

    def command(self, place: Place) -> list[str]:
        """The command line of one member, as a person could type it."""
        cluster = ",".join(f"{other.name}={other.peer_url}" for other in self._places)
        return [
            *(sys.executable, "-m", "raftkv", "attended", "--name", place.name, "--data-dir", str(self._folder / place.name / "data")),
            *("--listen-client-urls", place.client_url, "--advertise-client-urls", place.client_url),
            *("--listen-peer-urls", place.peer_url, "--initial-advertise-peer-urls", place.peer_url),
            *("--initial-cluster", cluster, "--initial-cluster-token", "raftkv-up"),
            *self._handed_on,
        ]

    async def start(self, stopping: asyncio.Event) -> bool:
        """Starts every member and waits until all are healthy. False when it was told to stop meanwhile."""
        began_s = self._now_s()
        print(f"starting {len(self._places)} member{'s' * (len(self._places) > 1)} under {self._folder}", flush=True)
        for place in self._places:
            await self._spawn(place)
        waiting = {place.name: "not asked yet" for place in self._places}
        reported_s = began_s
        while not stopping.is_set():
            for place in self._places:
                if place.name in waiting:
                    self._raise_if_ended(place)
                    waiting[place.name] = await unhealthy_because(place.client_port, "/health", timeout_s=HEALTH_WITHIN_S)
                    if not waiting[place.name]:
                        del waiting[place.name]
                        print(f"  {place.name} is healthy ({self._now_s() - began_s:.1f} s)", flush=True)
            if not waiting:
                return self._api_server is None or await self._api_server.start(stopping)
            if self._now_s() - began_s > HEALTHY_WITHIN_S:
                raise UpError(f"not healthy after {HEALTHY_WITHIN_S:.0f} s: {_listed(waiting)}; the logs are {self._folder}/*/log")
            if self._now_s() - reported_s > REPORT_S:
                reported_s = self._now_s()
                print(f"  waiting for {_listed(waiting)}", flush=True)
            await _pause(stopping, POLL_S)
        return False

    async def _spawn(self, place: Place) -> None:
        home = self._folder / place.name
        output = _new_log(home)
        try:
            # A session of its own: Ctrl-C reaches this process alone, which then stops the members in order.
            process = await asyncio.create_subprocess_exec(
                *self.command(place),
                # Never written to: it ends with this process, however that ends, and the member with it.
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=_environment(os.environ),
                start_new_session=True,
            )
        finally:
            os.close(output)
        (home / "pid").write_text(f"{process.pid}\n", encoding="ascii")
        self._processes[place.name] = process

    def _raise_if_ended(self, place: Place) -> None:
        status = self._processes[place.name].returncode
        if status is not None:
            raise UpError(f"{place.name} ended with status {status} while starting; the end of {self._log(place)}:\n{self._tail(place)}")

    def _log(self, place: Place) -> pathlib.Path:
        return self._folder / place.name / "log"

    def _tail(self, place: Place) -> str:
        lines = self._log(place).read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-LOG_LINES_SHOWN:]) or "  (empty)"

    def print_endpoints(self) -> None:
        """Says where the cluster is, and what to paste."""
        endpoints = ",".join(f"{HOST}:{place.client_port}" for place in self._places)
        print(f"\nraftkv {__version__} is serving (etcd API {ETCD_VERSION}); not encrypted, on {HOST} only\n")
        for place in self._places:
            print(f"  {place.name}  clients {place.client_url}  peers {place.peer_url}  log {self._log(place)}")
        print("\nPaste:\n")
        print(f"  {_installed('raftctl')} --endpoints={endpoints} put greeting hello")
        print(f"  etcdctl --endpoints={endpoints} get greeting\n")
        if self._api_server is not None:
            print(f"  export KUBECONFIG={self._api_server.kubeconfig.absolute()}")
            print("  kubectl get namespaces\n")
        print(f"Ctrl-C stops the cluster; its data stays in {self._folder}, and the next `up` goes on with it.", flush=True)

    async def watch(self, stopping: asyncio.Event) -> None:
        """Returns when told to stop, or when no member is left; reports each that ends by itself."""
        down: set[str] = set()
        api_server = self._api_server
        while not stopping.is_set() and len(down) < len(self._places):
            for place in self._places:
                status = self._processes[place.name].returncode
                if status is not None and place.name not in down:
                    down.add(place.name)
                    print(f"{place.name} ended with status {status}; it stays down until Ctrl-C and the next `up`.", flush=True)
                    print(f"The end of {self._log(place)}:\n{self._tail(place)}", flush=True)
            if api_server is not None and api_server.ended_because():
                print(api_server.ended_because(), flush=True)
                api_server = None
            await _pause(stopping, 0.5)

    async def stop(self) -> None:
        """Ends every member in order; kills those that take too long."""
        running = {name: process for name, process in self._processes.items() if process.returncode is None}
        if running:
            print(f"\nstopping {', '.join(running)}", flush=True)
        if self._api_server is not None:
            await self._api_server.stop(STOPPED_WITHIN_S)
        for process in running.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        try:
            async with asyncio.timeout(STOPPED_WITHIN_S):
                for name, process in running.items():
                    await process.wait()
                    print(f"  {name} stopped", flush=True)
        except TimeoutError:
            print(f"still running after {STOPPED_WITHIN_S:.0f} s, killed", flush=True)
            self.kill()
            for process in running.values():
                await process.wait()
        for name in self._processes:
            (self._folder / name / "pid").unlink(missing_ok=True)

    def kill(self) -> None:
        """Ends every process now; what the members acknowledged is on their disks."""
        if self._api_server is not None:
            self._api_server.kill()
        for process in self._processes.values():
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()


def _new_log(home: pathlib.Path) -> int:
    """Opens the member's log, keeping that of the run before; returns the descriptor."""
    home.mkdir(mode=0o700, exist_ok=True)
    log = home / "log"
    if log.exists():
        log.replace(home / "log.1")
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    # A variable beside a flag is fatal, and the flags are ours.
    return {key: value for key, value in environ.items() if not key.startswith(("ETCD_", "RAFTKV_"))}


def _listed(waiting: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({why})" for name, why in waiting.items())


def _installed(command: str) -> str:
    """The command as this shell finds it: its bare name when that is on the path."""
    beside = pathlib.Path(sys.executable).with_name(command)
    if shutil.which(command) == str(beside) or not beside.exists():
        return command
    return os.path.relpath(beside) if beside.is_relative_to(pathlib.Path.cwd()) else str(beside)


async def _pause(event: asyncio.Event, seconds: float) -> None:
    """Waits for the event, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
