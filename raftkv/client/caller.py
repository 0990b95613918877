"""One logical call: the attempts at it, on several servers, under one deadline.

Owns retrying, turning to another endpoint, waiting between rounds, and the auth token. Knows no request or response: bodies
are bytes. A call that may change state is sent a second time only when the first certainly did nothing (`outcome.judge`).
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from raftkv import errors
from raftkv.client.endpoints import Connections, Endpoint
from raftkv.client.link import Metadata
from raftkv.client.outcome import DEADLINE_TEXT, Verdict, judge
from raftkv.clock import Clock
from raftkv.pb import rpc
from raftkv.transport.client import RpcError

BACKOFF_FIRST_S = 0.025
BACKOFF_MAX_S = 1.0
"""The wait after a round in which every endpoint failed doubles from the first value to the second, with jitter."""


class Method(NamedTuple):
    """A unary call: its path, and whether it may change state."""

    path: str
    mutates: bool


AUTHENTICATE = Method("/etcdserverpb.Auth/Authenticate", mutates=False)

REQUIRE_LEADER: Metadata = (("hasleader", "true"),)
"""Asks a member without a leader to refuse at once instead of waiting for one."""


class Credentials(NamedTuple):
    """A user name and password; the token they buy is kept by the `Caller`."""

    user: str
    password: str


class Caller:
    """Sends unary calls. Deadlines are seconds for the whole logical call, `None` waits for ever."""

    def __init__(
        self,
        connections: Connections,
        clock: Clock,
        *,
        require_leader: bool,
        credentials: Credentials | None = None,
        token: str | None = None,
    ) -> None:
        self.connections = connections
        self.clock = clock
        self._require_leader = require_leader
        self._credentials = credentials
        self._token = token
        self._authenticated = credentials is None

    async def call(self, method: Method, body: bytes, *, timeout_s: float | None, endpoint: Endpoint | None = None) -> bytes:
        """The response of the first attempt that succeeds.

        Args:
            method: what to call.
            body: the encoded request.
            timeout_s: for all attempts together.
            endpoint: only this server will do (its own status, say).

        Raises:
            RequestError: refused; no effect.
            UnavailableError: no effect, and the deadline has passed.
            IndeterminateError: the call may have had its effect.
        """
        deadline_s = None if timeout_s is None else self.clock.monotonic_s() + timeout_s
        if timeout_s is not None and timeout_s <= 0:
            # Go's expired context: nothing is sent, where an answer might come before a timer of no time fires.
            raise errors.UnavailableError(DEADLINE_TEXT)
        backoff = Backoff(self.clock, 1 if endpoint else len(self.connections))
        renewed = False
        while True:
            target = endpoint or self.connections.current
            metadata = await self.metadata(deadline_s, require_leader=self._require_leader)
            verdict = await self._attempt(target, method, body, metadata, deadline_s)
            if isinstance(verdict, bytes):
                return verdict
            if verdict.reauthenticate and not renewed and self.renew_token():
                renewed = True
                continue
            if not verdict.retry:
                raise verdict.error
            self.connections.rotate(target)
            if not await backoff.wait(deadline_s):
                raise _expired(verdict.error) from verdict.error

    async def _attempt(
        self, target: Endpoint, method: Method, body: bytes, metadata: Metadata, deadline_s: float | None
    ) -> bytes | Verdict:
        remaining_s = None if deadline_s is None else max(0.0, deadline_s - self.clock.monotonic_s())
        try:
            return await self.connections.link(target).call(method.path, body, metadata=metadata, timeout_s=remaining_s)
        except RpcError as exc:
            verdict = judge(exc, mutates=method.mutates)
            verdict.error.__cause__ = exc
            text = str(verdict.error)
            verdict.error.add_note(text if target.text in text else f"{text} (at {target.text})")
            return verdict

    async def metadata(self, deadline_s: float | None, *, require_leader: bool) -> Metadata:
        """What every call carries besides its body; buys a token first if there is none.

        Raises:
            RaftKVError: the user could not be authenticated.
        """
        if not self._authenticated:
            await self._authenticate(deadline_s)
        token: Metadata = () if self._token is None else (("token", self._token),)
        return (*REQUIRE_LEADER, *token) if require_leader else token

    def renew_token(self) -> bool:
        """Has the next call buy a new token; false without credentials, when that cannot help."""
        self._authenticated = self._credentials is None
        return self._credentials is not None

    async def _authenticate(self, deadline_s: float | None) -> None:
        assert self._credentials is not None
        request = rpc.AuthenticateRequest(name=self._credentials.user, password=self._credentials.password).SerializeToString()
        backoff = Backoff(self.clock, len(self.connections))
        while True:
            target = self.connections.current
            answer = await self._attempt(target, AUTHENTICATE, request, (), deadline_s)
            if isinstance(answer, bytes):
                self._token = rpc.AuthenticateResponse.FromString(answer).token
                break
            if isinstance(answer.error, errors.AuthNotEnabledError):
                self._token = None
                break
            if not answer.retry:
                raise answer.error
            self.connections.rotate(target)
            if not await backoff.wait(deadline_s):
                raise _expired(answer.error) from answer.error
        self._authenticated = True


class Backoff:
    """Waits between rounds of attempts: none before every endpoint had its turn, then longer and longer."""

    def __init__(self, clock: Clock, endpoint_count: int) -> None:
        self._clock = clock
        self._endpoint_count = endpoint_count
        self._failures = 0

    def reset(self) -> None:
        """Something worked: start from the shortest wait again."""
        self._failures = 0

    async def wait(self, deadline_s: float | None) -> bool:
        """Waits as long as is due; false when the deadline falls into the wait, which is then cut short at it."""
        self._failures += 1
        rounds = self._failures // self._endpoint_count
        pause_s = 0.0 if rounds == 0 or self._failures % self._endpoint_count else min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** (rounds - 1))
        pause_s *= 0.5 + self._clock.random().random()
        if deadline_s is not None and self._clock.monotonic_s() + pause_s >= deadline_s:
            await asyncio.sleep(max(0.0, deadline_s - self._clock.monotonic_s()))
            return False
        await asyncio.sleep(pause_s)
        return True


def _expired(last: errors.RaftKVError) -> errors.RaftKVError:
    """The deadline passed between attempts. Retries happen only where nothing was done, so nothing was."""
    error = errors.UnavailableError(DEADLINE_TEXT)
    for note in getattr(last, "__notes__", ()):
        error.add_note(note)
    return error
