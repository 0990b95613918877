"""The status, readiness and restarts of pods as `kubectl get pods` shows them."""

from __future__ import annotations

from typing import Any

import pytest

from resource_api.errors import Object
from tests.resource_api.printers.rows import before, conditions, row

MAIN = {"name": "main", "image": "i"}
SIDECAR = {"name": "side", "image": "i", "restartPolicy": "Always"}
INITIALIZED = {"type": "Initialized", "status": "True"}
READY = {"type": "Ready", "status": "True"}


def running(name: str = "main", *, ready: bool = True, **more: Any) -> Object:
    return {"name": name, "state": {"running": {}}, "ready": ready, **more}


def waiting(reason: str, name: str = "main", **more: Any) -> Object:
    return {"name": name, "state": {"waiting": {"reason": reason}}, **more}


def ended(code: int = 0, name: str = "main", **more: Any) -> Object:
    return {"name": name, "state": {"terminated": {"exitCode": code, **more}}}


def pod(*containers: Object, init: tuple[Object, ...] = (), spec: Object | None = None, **status: Any) -> Object:
    held = {"containers": [MAIN], **(spec or {})}
    return {
        "spec": held,
        "status": {"phase": "Running", "containerStatuses": list(containers), "initContainerStatuses": list(init), **status},
    }


TWO = {"containers": [MAIN, {"name": "other", "image": "i"}]}
INIT = {"initContainers": [{"name": "one", "image": "i"}, {"name": "two", "image": "i"}]}
SIDE = {"initContainers": [SIDECAR]}
GONE: Object = {"metadata": {"deletionTimestamp": before(5)}}
DONE = ended(name="one", reason="Completed")


@pytest.mark.parametrize(
    ("obj", "ready", "status", "restarts"),
    [
        (pod(phase="Pending"), "0/1", "Pending", "0"),
        (pod(waiting("ContainerCreating"), phase="Pending"), "0/1", "ContainerCreating", "0"),
        (pod(waiting("ImagePullBackOff"), phase="Pending"), "0/1", "ImagePullBackOff", "0"),
        (pod(running()), "1/1", "Running", "0"),
        (pod(running(ready=False)), "0/1", "Running", "0"),
        (pod(running(restartCount=3)), "1/1", "Running", "3"),
        (pod(running(restartCount=3, lastState={"terminated": {"finishedAt": before(300)}})), "1/1", "Running", "3 (5m ago)"),
        (pod(waiting("CrashLoopBackOff", restartCount=2)), "0/1", "CrashLoopBackOff", "2"),
        (pod(ended(reason="Completed"), phase="Succeeded"), "0/1", "Completed", "0"),
        (pod(ended(1, reason="Error"), phase="Failed"), "0/1", "Error", "0"),
        (pod(ended(137, reason="OOMKilled"), phase="Failed"), "0/1", "OOMKilled", "0"),
        (pod(ended(3), phase="Failed"), "0/1", "ExitCode:3", "0"),
        (pod(ended(3, signal=9), phase="Failed"), "0/1", "Signal:9", "0"),
        (pod(phase="Failed", reason="Evicted"), "0/1", "Evicted", "0"),
        (pod(phase="Unknown"), "0/1", "Unknown", "0"),
        (pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),)
        + ("0/1", "SchedulingGated", "0"),
        (pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]), "0/1", "Pending", "0"),
        # The first container decides when several have a reason.
        (pod(waiting("ErrImagePull"), waiting("CrashLoopBackOff", "other"), spec=TWO), "0/2", "ErrImagePull", "0"),
        (pod(ended(reason="Completed"), running("other"), spec=TWO), "1/2", "NotReady", "0"),
        (pod(ended(reason="Completed"), running("other"), spec=TWO, conditions=[READY]), "1/2", "Running", "0"),
        (pod(running(restartCount=1), running("other", restartCount=2), spec=TWO), "2/2", "Running", "3"),
        # Init containers.
        (pod(init=(running("one", ready=False),), spec=INIT, phase="Pending"), "0/1", "Init:0/2", "0"),
        (pod(init=(DONE, waiting("PodInitializing", "two")), spec=INIT, phase="Pending"), "0/1", "Init:1/2", "0"),
        (pod(init=(waiting("CrashLoopBackOff", "one", restartCount=4),), spec=INIT, phase="Pending"), "0/1", "Init:CrashLoopBackOff", "4"),
        (pod(init=(ended(1, "one", reason="Error"),), spec=INIT, phase="Pending"), "0/1", "Init:Error", "0"),
        (pod(init=(ended(2, "one"),), spec=INIT, phase="Pending"), "0/1", "Init:ExitCode:2", "0"),
        (pod(init=(ended(2, "one", signal=15),), spec=INIT, phase="Pending"), "0/1", "Init:Signal:15", "0"),
        (pod(waiting("PodInitializing"), init=(DONE, ended(0, "two")), spec=INIT, phase="Pending"), "0/1", "PodInitializing", "0"),
        # What init containers restarted does not count once they are through.
        (pod(running(restartCount=1), init=({**DONE, "restartCount": 5},), spec=INIT), "1/1", "Running", "1"),
        # Sidecars are containers that count.
        (pod(running(), init=(running("side", started=True, restartCount=2),), spec=SIDE), "2/2", "Running", "2"),
        (pod(waiting("PodInitializing"), init=(running("side", ready=False, started=False),), spec=SIDE, phase="Pending"),)
        + ("0/2", "Init:0/1", "0"),
        # A sidecar that starts again under a running pod does not hide the containers.
        (pod(running(restartCount=1), init=(waiting("CrashLoopBackOff", "side", restartCount=3),), spec=SIDE, conditions=[INITIALIZED]),)
        + ("1/2", "Init:CrashLoopBackOff", "4"),
        # On the way out.
        (pod(running()) | GONE, "1/1", "Terminating", "0"),
        (pod(running(), reason="NodeLost") | GONE, "1/1", "Unknown", "0"),
        (pod(ended(reason="Completed"), phase="Succeeded") | GONE, "0/1", "Completed", "0"),
    ],
)
def test_status_of_a_pod_is_worked_out(obj: Object, ready: str, status: str, restarts: str) -> None:
    """Phase, then reason, then what containers say, then deletion."""
    found = row("Pod", obj)
    assert (found["Ready"], found["Status"], found["Restarts"]) == (ready, status, restarts)


def test_wide_columns_of_a_pod() -> None:
    """Nothing known is `<none>`; gates that hold are counted."""
    bare = row("Pod", pod())
    assert [bare[name] for name in ("IP", "Node", "Nominated Node", "Readiness Gates")] == ["<none>"] * 4
    spec = {"containers": [MAIN], "nodeName": "n1", "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]}
    status: Any = {
        "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
        "nominatedNodeName": "n2",
        "conditions": [{"type": "a", "status": "True"}],
    }
    full = row("Pod", pod(spec=spec, **status))
    assert [full[name] for name in ("IP", "Node", "Nominated Node", "Readiness Gates")] == ["10.0.0.1", "n1", "n2", "1/2"]


@pytest.mark.parametrize(("phase", "marked"), [("Running", False), ("Pending", False), ("Succeeded", True), ("Failed", True)])
def test_rows_of_finished_pods_are_marked(phase: str, marked: bool) -> None:
    """By a condition, so that clients may leave them out."""
    found = conditions("Pod", pod(phase=phase))
    assert [(one["type"], one["status"], one["reason"]) for one in found] == ([("Completed", "True", phase)] if marked else [])
