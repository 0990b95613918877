"""What is measured: the API server as its own process on an embedded member, and a bare aiohttp server that answers a constant."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

TOKEN = "bench-token"
HOST = "127.0.0.1"
START_TIMEOUT_S = 30.0
ECHO_BODY = json.dumps({"metadata": {"name": "echo"}, "data": {"value": "x" * 512}}).encode()


class Served:
    """A process and where it listens."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url

    def cpu_s(self) -> float:
        """User and system time so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Resident."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0


@contextmanager
def api_server(folder: pathlib.Path, *, secure_port: int, port: int) -> Iterator[tuple[Served, float]]:
    """The server, ready, and the seconds from exec to readiness."""
    folder.mkdir(exist_ok=True)
    tokens = folder / "tokens.csv"
    tokens.write_text(f'{TOKEN},bench,1,"system:masters"\n')
    words = [sys.executable, "-m", "resource_api", "--embedded", str(folder / "data"), "--secure-port", str(secure_port)]
    words += ["--insecure-port", str(port), "--token-auth-file", str(tokens)]
    with _process(words, f"http://{HOST}:{port}", "/readyz") as found:
        yield found


@contextmanager
def echo_server(port: int) -> Iterator[Served]:
    """The constant."""
    with _process([sys.executable, "-m", "tests.bench.api.processes", str(port)], f"http://{HOST}:{port}", "/") as (served, _):
        yield served


@contextmanager
def _process(words: list[str], url: str, probe: str) -> Iterator[tuple[Served, float]]:
    started_s = time.monotonic()
    # As installed: bytecode is kept.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(pathlib.Path(".raftkv/bytecode").absolute())}
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=environment)
    try:
        while not _answers(url + probe):
            if process.poll() is not None or time.monotonic() - started_s > START_TIMEOUT_S:
                raise RuntimeError(f"{words[2]} does not answer")
            time.sleep(0.005)
        yield Served(process, url), time.monotonic() - started_s
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def _echo(port: int) -> None:
    from aiohttp import web

    async def handle(request: web.BaseRequest) -> web.Response:
        return web.Response(body=ECHO_BODY, content_type="application/json")

    loop = asyncio.get_running_loop()
    server = await loop.create_server(web.Server(handle, access_log=None), HOST, port)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_echo(int(sys.argv[1])))
