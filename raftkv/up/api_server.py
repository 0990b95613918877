"""The API server beside a local cluster (`up --kubernetes`): one more process, started when the members are healthy.

Knows of it only its flags, its port and its exit status, as of a member.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import ssl
import sys
from collections.abc import Callable, Sequence

from raftkv.up.health import unhealthy_because
from raftkv.up.layout import HOST, Place, UpError, free_ports, is_free

PORT = 6443
READY_WITHIN_S = 60.0
POLL_S = 0.1
HOME = "kubernetes"
LOG_LINES_SHOWN = 12


class ApiServerProcess:
    """One process. Invariant: after `stop` it does not run."""

    def __init__(self, folder: pathlib.Path, places: Sequence[Place], now_s: Callable[[], float]) -> None:
        self._home = folder / HOME
        self._places = places
        self._now_s = now_s
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0

    @property
    def kubeconfig(self) -> pathlib.Path:
        """For the administrator; written when the server is ready."""
        return self._home / "kubeconfig"

    @property
    def log(self) -> pathlib.Path:
        """What it says."""
        return self._home / "log"

    def command(self) -> list[str]:
        """As a person could type it."""
        return [
            *(sys.executable, "-m", "resource_api", "attended", "--etcd-servers", ",".join(place.client_url for place in self._places)),
            *("--bind-address", HOST, "--secure-port", str(self.port)),
            *("--cert-dir", str(self._home / "certs"), "--write-kubeconfig", str(self.kubeconfig)),
        ]

    async def start(self, stopping: asyncio.Event) -> bool:
        """Starts it and waits until it is ready. False when it was told to stop meanwhile. Raises UpError."""
        self._home.mkdir(mode=0o700, exist_ok=True)
        self.port = self._choose_port()
        if self.log.exists():
            self.log.replace(self._home / "log.1")
        output = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        began_s = self._now_s()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.command(), stdin=asyncio.subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
            )
        finally:
            os.close(output)
        why = "not asked yet"
        while not stopping.is_set():
            if self._process.returncode is not None:
                raise UpError(f"the API server ended with status {self._process.returncode}; the end of {self.log}:\n{self._tail()}")
            why = await self._unready_because()
            if not why:
                print(f"  the API server is ready ({self._now_s() - began_s:.1f} s)", flush=True)
                return True
            if self._now_s() - began_s > READY_WITHIN_S:
                raise UpError(f"the API server is not ready after {READY_WITHIN_S:.0f} s ({why}); its log is {self.log}")
            await asyncio.sleep(POLL_S)
        return False

    def _choose_port(self) -> int:
        """The port of the run before, so that kubeconfigs stay true; the usual one; any."""
        kept = self._home / "port"
        with contextlib.suppress(OSError, ValueError):
            port = int(kept.read_text(encoding="ascii"))
            if is_free(port):
                return port
        port = PORT if is_free(PORT) else free_ports(1)[0]
        kept.write_text(f"{port}\n", encoding="ascii")
        return port

    async def _unready_because(self) -> str:
        """Nothing when `/readyz` says ok. The certificate is not looked at: it was made by the process that was just started."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return await unhealthy_because(self.port, "/readyz", timeout_s=2.0, context=context)

    def _tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-LOG_LINES_SHOWN:]) or "  (empty)"

    def ended_because(self) -> str:
        """What to say when it has ended by itself, else nothing."""
        if self._process is None or self._process.returncode is None:
            return ""
        return f"the API server ended with status {self._process.returncode}; it stays down. The end of {self.log}:\n{self._tail()}"

    async def stop(self, within_s: float) -> None:
        """In order; killed when that takes too long. Before the members, whose client it is."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(within_s):
                await process.wait()
        except TimeoutError:
            self.kill()
            await process.wait()
        print("  the API server stopped", flush=True)

    def kill(self) -> None:
        """Now; what it acknowledged is in the store."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
