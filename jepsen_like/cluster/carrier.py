"""The process that carries a cluster's traffic, and the line to it: one JSON object per line each way, over a socket pair.

Carrying stands in a process of its own, so that a busy client loop never looks like a slow network to the members. The
process ends when the line does, so that none outlives its run. `Carrier` is the run's end; `Orders` the process's.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jepsen_like.cluster.links import Conditions, Direction, Tally

ANSWER_WITHIN_S = 10.0
LINE_BYTES_MAX = 1 << 20


class CarrierError(RuntimeError):
    """The process that carries the traffic refused an order, or ended."""


class Carrier:
    """The run's end. One order at a time, in the order given; loop only."""

    def __init__(self, process: subprocess.Popen[bytes], line: socket.socket) -> None:
        self._process = process
        self._line = line
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._turn = asyncio.Lock()

    @classmethod
    def start(cls, module: str, arguments: Iterable[str] = (), *, descriptors: Sequence[int] = ()) -> Carrier:
        """Starts `python -m module LINE arguments...`; it inherits the descriptors under their numbers."""
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", module, str(theirs.fileno()), *arguments]
            # A group of its own: Ctrl-C is for the run, which heals through this process before it ends it.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(), *descriptors), process_group=0)
        ours.setblocking(False)
        return cls(process, ours)

    async def ask(self, order: str, **fields: Any) -> Any:
        """Has an order carried out and returns its answer.

        Raises:
            CarrierError: it was refused, or there is nobody to carry it out.
        """
        async with self._turn:
            if self._reader is None or self._writer is None:
                self._reader, self._writer = await asyncio.open_connection(sock=self._line, limit=LINE_BYTES_MAX)
            try:
                self._writer.write(json.dumps({"order": order, **fields}).encode() + b"\n")
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    line = await self._reader.readline()
            except (OSError, TimeoutError) as error:
                raise CarrierError(f"{order}: {error or 'no answer'}") from error
        if not line:
            raise CarrierError(f"{order}: the process ended with {self._process.poll()}")
        answer = json.loads(line)
        if "refused" in answer:
            raise CarrierError(f"{order}: {answer['refused']}")
        return answer["answer"]

    def tell(self, order: str, **fields: Any) -> None:
        """Has an order carried out before the next one; nobody answers."""
        assert self._writer is not None, "nothing was asked before"
        self._writer.write(json.dumps({"order": order, "silent": True, **fields}).encode() + b"\n")

    async def set(self, links: Mapping[Direction, Conditions]) -> None:
        """From now on these directions have these conditions."""
        await self.ask("links", links=[[*direction, conditions.to_json()] for direction, conditions in links.items()])

    async def tally(self) -> Tally:
        """What was seen so far."""
        return Tally.from_json(await self.ask("tally"))

    async def close(self) -> None:
        """Ends the process. Idempotent."""
        if self._writer is not None:
            self._writer.close()
        self._line.close()
        try:
            await asyncio.to_thread(self._process.wait, 2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Orders:
    """The process's end: reads orders from a non-blocking socket and answers them."""

    def __init__(self, descriptor: int, handlers: Mapping[str, Callable[..., Any]]) -> None:
        self.line = socket.socket(fileno=descriptor)
        self.line.setblocking(False)
        self._handlers = handlers
        self._rest = b""

    def on_readable(self) -> bool:
        """Carries out what has come; False when the run has ended."""
        try:
            data = self.line.recv(LINE_BYTES_MAX)
        except BlockingIOError:
            return True
        except OSError:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            fields = json.loads(line)
            silent = fields.pop("silent", False)
            answer = self._answer(fields)
            if not silent:
                self.line.sendall(json.dumps(answer).encode() + b"\n")
        return bool(data)

    def _answer(self, fields: dict[str, Any]) -> dict[str, Any]:
        order = fields.pop("order")
        try:
            return {"answer": self._handlers[order](**fields)}
        except (OSError, ValueError, KeyError) as error:
            return {"refused": f"{type(error).__name__}: {error}"}
