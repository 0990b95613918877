"""Rows of pods: the status that people read is worked out from phases, containers and conditions."""

from __future__ import annotations

from collections.abc import Sequence

from resource_api.errors import Json, Object
from resource_api.printers.cells import NONE, condition, created, name, spec, status
from resource_api.schema.times import age

NODE_LOST = "NodeLost"


def conditions(pod: Object) -> list[Object]:
    """Finished pods are marked, so that clients may leave them out."""
    phase = status(pod).get("phase")
    if phase not in ("Succeeded", "Failed"):
        return []
    texts = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}
    return [{"type": "Completed", "status": "True", "reason": phase, "message": texts[phase]}]


def cells(pod: Object, now_s: float) -> Sequence[Json]:
    """One row."""
    restarts = Restarts()
    held = [*(spec(pod).get("containers") or []), *(one for one in spec(pod).get("initContainers") or [] if _restarts_always(one))]
    reason, ready = _reason(pod, restarts)
    addresses = [one.get("ip", "") for one in status(pod).get("podIPs") or []] or [status(pod).get("podIP") or ""]
    gates = spec(pod).get("readinessGates") or []
    passed = sum(1 for gate in gates if (condition(pod, gate.get("conditionType", "")) or {}).get("status") == "True")
    return (
        name(pod),
        f"{ready}/{len(held)}",
        reason,
        restarts.text(now_s),
        created(pod, now_s),
        addresses[0] or NONE,
        spec(pod).get("nodeName") or NONE,
        status(pod).get("nominatedNodeName") or NONE,
        f"{passed}/{len(gates)}" if gates else NONE,
    )


class Restarts:
    """How often containers were started again, and when last."""

    def __init__(self) -> None:
        self.count = 0
        self.last = ""

    def add(self, container: Object) -> None:
        """One more container's."""
        self.count += container.get("restartCount", 0)
        finished = ((container.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.last = max(self.last, finished)

    def text(self, now_s: float) -> str:
        """`2 (5m ago)`."""
        return f"{self.count} ({age(self.last, now_s)} ago)" if self.count and self.last else str(self.count)


def _restarts_always(container: Object) -> bool:
    return container.get("restartPolicy") == "Always"


def _reason(pod: Object, restarts: Restarts) -> tuple[str, int]:
    """The status column, and how many containers are ready."""
    state = status(pod)
    reason = state.get("reason") or state.get("phase") or ""
    scheduled = condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    sidecars = Restarts()
    ready, initialising, found = _init(pod, restarts, sidecars)
    if initialising:
        reason = found
    if not initialising or _is_initialized(pod):
        # From here on the init containers that ended do not count.
        restarts.count, restarts.last = sidecars.count, sidecars.last
        reason, more = _running(pod, reason, restarts)
        ready += more
    if pod["metadata"].get("deletionTimestamp"):
        if state.get("reason") == NODE_LOST:
            reason = "Unknown"
        elif state.get("phase") not in ("Succeeded", "Failed"):
            reason = "Terminating"
    return reason, ready


def _is_initialized(pod: Object) -> bool:
    return (condition(pod, "Initialized") or {}).get("status") == "True"


def _init(pod: Object, restarts: Restarts, sidecars: Restarts) -> tuple[int, bool, str]:
    """Ready sidecars; whether initialisation is under way, and what it is at."""
    declared = {one.get("name"): one for one in spec(pod).get("initContainers") or []}
    ready = 0
    for position, container in enumerate(status(pod).get("initContainerStatuses") or []):
        restarts.add(container)
        sidecar = _restarts_always(declared.get(container.get("name"), {}))
        if sidecar:
            sidecars.add(container)
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated is not None and terminated.get("exitCode", 0) == 0:
            continue
        if sidecar and container.get("started"):
            ready += int(bool(container.get("ready")))
            continue
        if terminated is not None:
            return ready, True, "Init:" + _ended(terminated)
        if waiting is not None and waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return ready, True, "Init:" + waiting["reason"]
        return ready, True, f"Init:{position}/{len(declared)}"
    return ready, False, ""


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _running(pod: Object, reason: str, restarts: Restarts) -> tuple[str, int]:
    ready, has_running = 0, False
    for container in reversed(status(pod).get("containerStatuses") or []):
        restarts.add(container)
        state = container.get("state") or {}
        waiting, terminated = state.get("waiting"), state.get("terminated")
        if waiting is not None and waiting.get("reason"):
            reason = waiting["reason"]
        elif terminated is not None:
            reason = _ended(terminated)
        elif container.get("ready") and state.get("running") is not None:
            has_running = True
            ready += 1
    if reason == "Completed" and has_running:
        reason = "Running" if (condition(pod, "Ready") or {}).get("status") == "True" else "NotReady"
    return reason, ready
