"""One watch stream to each server, and what came on it.

The order of responses of one watcher is compared, and how events are cut into them; not the order between watchers, which
nobody promises. A server's silence is proved by what comes next: a put that another watcher of the stream sees.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc

from raftkv.pb import rpc
from tests.differential.answers import Normal, joined
from tests.differential.exchange import Answer, Exchange, Tree
from tests.differential.lockstep import Lockstep, Side

WITHIN_S = 30.0
"""For what takes a tenth of a second (etcd looks after watchers of the past that often)."""

SENTINEL = b"~sentinel"
SENTINEL_ID = 1 << 30


@dataclass(frozen=True, slots=True)
class Asked:
    """What stands in for a request in the report of a watch."""

    actions: tuple[str, ...]
    compact_revision: int

    def __str__(self) -> str:
        return "; ".join(self.actions)


class WatchSide:
    """One server's stream, read by a thread."""

    def __init__(self, side: Side) -> None:
        self._normal: Normal = side.normal
        self._stream = side.converse("Watch")
        self._arrived = threading.Condition()
        self._responses: list[rpc.WatchResponse] = []
        self._taken = 0
        self._left: list[rpc.WatchResponse] = []
        self._end = ""
        self._reader = threading.Thread(target=self._read, name="watch-reader", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        end = "ended"
        try:
            while True:
                response = self._stream.receive()
                with self._arrived:
                    self._responses.append(response)
                    self._arrived.notify_all()
        except StopIteration:
            pass
        except grpc.RpcError as error:
            end = f"ended with {error.code().name} {error.details()}"
        with self._arrived:
            self._end = end
            self._arrived.notify_all()

    def send(self, request: rpc.WatchRequest) -> None:
        """One request."""
        self._stream.send(request.SerializeToString())

    def half_close(self) -> None:
        """No more requests."""
        self._stream.half_close()

    def wait(self, condition: Callable[[list[rpc.WatchResponse]], bool]) -> bool:
        """Until all that came meets the condition; False when it does not in time."""
        deadline_s = time.monotonic() + WITHIN_S
        with self._arrived:
            while not condition(self._responses):
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or self._end or not self._arrived.wait(left_s):
                    return condition(self._responses)
        return True

    def last(self) -> rpc.WatchResponse:
        """The newest response that answers a create request."""
        with self._arrived:
            return next(response for response in reversed(self._responses) if response.created)

    def take(self, revision: int) -> dict[str, list[Tree]]:
        """What came since the last call, by watcher, in normal form; without events after the revision, which are left for the next."""
        with self._arrived:
            came, self._taken = self._left + self._responses[self._taken :], len(self._responses)
            end = self._end
        new = [response for response in came if not response.events or response.events[-1].kv.mod_revision <= revision]
        self._left = [response for response in came if response.events and response.events[-1].kv.mod_revision > revision]
        by_watcher: dict[int, list[rpc.WatchResponse]] = {}
        for response in new:
            by_watcher.setdefault(response.watch_id, []).append(response)
        found = {
            f"watch {watch_id}": [self._normal.tree(None, response) for response in joined(responses)]
            for watch_id, responses in by_watcher.items()
        }
        if end:
            found["stream"] = [{"end": end}]
        return found

    def close(self) -> None:
        """Ends the stream and its thread."""
        self._stream.cancel()
        self._reader.join(WITHIN_S)


class TwinWatch:
    """The same watch stream to both servers."""

    def __init__(self, lockstep: Lockstep) -> None:
        self._lockstep = lockstep
        self.sides = tuple(WatchSide(side) for side in lockstep.sides)
        self._created = self._progress = 0
        self._cancelled: Counter[int] = Counter()
        self._settled = 0
        self._actions: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for side in self.sides:
            side.close()

    def send(self, request: rpc.WatchRequest) -> None:
        """One request to each."""
        self._lockstep.verdict.requests += 1
        self._actions.append(" ".join(str(request).split()))
        for side in self.sides:
            side.send(request)

    def create(self, **fields: Any) -> int | None:
        """Creates a watcher; its id at etcd, None when it was refused there."""
        self.send(rpc.WatchRequest(create_request=rpc.WatchCreateRequest(**fields)))
        self._created += 1
        self.wait(lambda responses: sum(response.created for response in responses) >= self._created)
        last = self.sides[0].last()
        return None if last.canceled else last.watch_id

    def create_sentinel(self) -> None:
        """The watcher that `barrier` relies on."""
        self.create(key=SENTINEL, watch_id=SENTINEL_ID)

    def cancel(self, watch_id: int, *, known: bool = True) -> None:
        """Cancels a watcher. Only one that is known is answered, and waited for."""
        self.send(rpc.WatchRequest(cancel_request=rpc.WatchCancelRequest(watch_id=watch_id)))
        if known:
            self._cancelled[watch_id] += 1
            self.wait(lambda responses: sum(_confirms(response, watch_id) for response in responses) >= self._cancelled[watch_id])

    def request_progress(self) -> None:
        """Asks how far the stream is."""
        self.send(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))

    def half_close(self) -> None:
        """No more requests."""
        for side in self.sides:
            side.half_close()

    def wait_progress(self) -> None:
        """Until both have answered one more request for progress."""
        self._progress += 1
        self.wait(lambda responses: sum(is_progress(response) for response in responses) >= self._progress)

    def wait(self, condition: Callable[[list[rpc.WatchResponse]], bool]) -> bool:
        """Until both have sent what the condition wants; what one did not send shows as a difference."""
        etcd, raftkv = (side.wait(condition) for side in self.sides)
        return etcd and raftkv

    def wait_event(self, watch_id: int, revision: int) -> bool:
        """Until both have sent the newest watcher of that id an event of the revision, or its cancellation."""

        def there(responses: list[rpc.WatchResponse]) -> bool:
            for response in reversed(responses):
                if response.watch_id == watch_id:
                    if response.created:
                        return False
                    if response.canceled or any(one.kv.mod_revision == revision for one in response.events):
                        return True
            return False

        return self.wait(there)

    def wait_events(self, watch_id: int, count: int) -> bool:
        """Until both have sent the watcher so many events."""
        return self.wait(lambda responses: sum(len(one.events) for one in responses if one.watch_id == watch_id) >= count)

    def barrier(self) -> None:
        """Until everything has arrived that watchers at the present have to be sent for what was written.

        Two puts: with an event of the second one all events of the first are there, whoever watches; those of the second
        itself may still be on their way, and are left for later.
        """
        for _ in range(2):
            self._lockstep.ask("Put", rpc.PutRequest(key=SENTINEL))
        self.wait_event(SENTINEL_ID, self._lockstep.view.revision)
        self._settled = self._lockstep.view.revision - 1

    def compare(self, *, called: str = "Watch") -> Exchange:
        """Judges what came since the last time."""
        etcd, raftkv = (Answer("OK", "", side.take(self._settled or self._lockstep.view.revision)) for side in self.sides)
        asked = Asked(tuple(self._actions), self._lockstep.view.compact_revision)
        self._actions.clear()
        return self._lockstep.judge(called, asked, etcd, raftkv)


def _confirms(response: rpc.WatchResponse, watch_id: int) -> bool:
    """True for the answer to a cancel request."""
    return response.watch_id == watch_id and response.canceled and not response.created and not response.compact_revision


def is_progress(response: rpc.WatchResponse) -> bool:
    """True for an answer to a request for progress."""
    return response.watch_id == -1 and not response.created and not response.canceled
