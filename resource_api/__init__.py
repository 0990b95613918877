"""A Kubernetes-compatible API server over any etcd v3 store, run as a process (`python -m resource_api`) or inside another program.

    async with running_api(ApiConfig(embedded="data", secure_port=0, write_kubeconfig="kubeconfig")):
        async with ApiClient.from_kubeconfig("kubeconfig") as client:
            await client.list(Kind("", "v1", "namespaces"))

The names below are what programs may rely on. They are loaded on first use: importing the package alone costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resource_api.client import ApiClient, Connection, Kind, WatchEvent, read_kubeconfig
    from resource_api.config import ApiConfig, ConfigError
    from resource_api.embedded import running_api
    from resource_api.errors import StatusError

__all__ = [
    "ApiClient",
    "ApiConfig",
    "ConfigError",
    "Connection",
    "Kind",
    "StatusError",
    "WatchEvent",
    "read_kubeconfig",
    "running_api",
]

_HOMES = {
    "ApiClient": "client",
    "ApiConfig": "config",
    "ConfigError": "config",
    "Connection": "client",
    "Kind": "client",
    "StatusError": "errors",
    "WatchEvent": "client",
    "read_kubeconfig": "client",
    "running_api": "embedded",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
