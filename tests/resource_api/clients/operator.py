"""An operator of widgets, as its author would write one with kopf: a child for each, a finalizer, a status. Started by `kopf run`."""

from __future__ import annotations

import json
import os
from typing import Any

import kopf
import kubernetes

STARTED = os.environ.get("OPERATOR_STARTED", "")
"""Written into the status of what a restarted operator finds."""


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Progress is kept in the status, the finalizer is the operator's own, nothing waits long."""
    settings.persistence.finalizer = "example.com/widgets"
    settings.persistence.progress_storage = kopf.StatusProgressStorage(field="status.progress")
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix="example.com")
    settings.networking.error_backoffs = [0.1, 0.2, 0.5, 1]
    settings.watching.reconnect_backoff = 0.1
    settings.posting.loggers = True
    settings.watching.initial_streaming = os.environ.get("OPERATOR_STREAMS") == "1"
    kubernetes.config.load_kube_config()


@kopf.on.create("example.com", "v1", "widgets")
def create(spec: kopf.Spec, name: str, namespace: str, logger: Any, **_: Any) -> dict[str, Any]:
    """A ConfigMap that goes with its widget."""
    child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-child"}, "data": {"size": str(spec["size"])}}
    kopf.adopt(child)
    kubernetes.client.CoreV1Api().create_namespaced_config_map(namespace, child)
    logger.info("created %s", name)
    return {"child": f"{name}-child"}


@kopf.on.update("example.com", "v1", "widgets", field="spec.size")
def resize(old: int, new: int, name: str, namespace: str, patch: kopf.Patch, **_: Any) -> None:
    """The child follows, the status tells from where to where."""
    kubernetes.client.CoreV1Api().patch_namespaced_config_map(f"{name}-child", namespace, {"data": {"size": str(new)}})
    patch.status["resized"] = f"{old} to {new}"


@kopf.on.resume("example.com", "v1", "widgets")
def resume(patch: kopf.Patch, **_: Any) -> None:
    """An operator that starts anew looks at every widget once."""
    patch.status["resumed"] = STARTED


@kopf.on.delete("example.com", "v1", "widgets")
def delete(name: str, namespace: str, **_: Any) -> None:
    """Held until this is done: what is left behind says so."""
    body = {"metadata": {"name": f"{name}-gone"}, "data": {"last": json.dumps(name)}}
    kubernetes.client.CoreV1Api().create_namespaced_config_map(namespace, body)
