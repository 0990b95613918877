"""Who may import whom: the table of the architecture, checked on the sources.

`LAYERS` says what of ours a module may import, `BANNED` what of the standard library it must not touch, `LIBRARIES` where each
third-party package may appear. The longest matching prefix decides. A module without a row fails: new folders need a
decision. `IMPORTERS` says who alone may import a module.
"""

from __future__ import annotations

import ast
import sys

import pytest

from tests.tidy.source import PRODUCT, Source, dotted, report, sources, under

OURS = ("raftkv", "resource_api", "raftctl", "jepsen_like", "tests")

ROOTS = ("raftkv", "resource_api")
"""Products with many packages, each of which has a row."""

LEAVES = ("raftkv.pb", "raftkv.errors", "raftkv.metrics", "raftkv.clock", "raftkv.failpoints", "raftkv.wire")
"""May be imported by everybody, except where a row says less."""

TIMELESS = ("raftkv.pb", "raftkv.errors", "raftkv.metrics", "raftkv.failpoints", "raftkv.wire")

COMPOSITION = ("raftkv",)

ROOT_CONSTANTS = ("raftkv.__version__", "raftkv.ETCD_VERSION")
"""Defined by the root itself and shown by everybody; importing them crosses nothing."""

TRANSPORT_WITH_IO = tuple(f"raftkv.transport.{name}" for name in ("server", "client", "channel", "pair", "tls", "deadlines"))
"""The transport's asyncio modules; every other module of the package does no I/O."""

API_LEAVES = ("resource_api.errors", "resource_api.go_numbers", "resource_api.histograms", "resource_api.turns", "raftkv.clock")

API_SCHEMA = ("resource_api.schema", "resource_api.errors", "resource_api.go_numbers")

API_SEAMS = tuple(f"resource_api.registry.{name}" for name in ("store", "requests", "objects", "model", "admission"))
"""What the registry is to those it is built on or looked into by; they know nothing of its machinery."""

API_SERVER: dict[str, tuple[str, ...]] = {
    "resource_api": ("resource_api.embedded", "resource_api.config", "resource_api.client", "resource_api.errors"),
    "resource_api.errors": ("resource_api.go_numbers",),
    "resource_api.go_numbers": (),
    "resource_api.histograms": (),
    "resource_api.turns": (),
    "resource_api.schema": API_SCHEMA,
    "resource_api.patch": ("resource_api.patch", *API_SCHEMA),
    **dict.fromkeys(API_SEAMS, (*API_SEAMS, *API_SCHEMA)),
    "resource_api.registry": ("resource_api.registry", "resource_api.cache", "resource_api.patch", "resource_api.schema", *API_LEAVES),
    "resource_api.registry.kv_store": (*API_SEAMS, *API_LEAVES, "raftkv.client", "raftkv.errors"),
    "resource_api.cache": ("resource_api.cache", *API_SEAMS, "resource_api.schema", *API_LEAVES),
    "resource_api.security": ("resource_api.security", *API_SEAMS, "resource_api.registry.stamps", "resource_api.schema", *API_LEAVES),
    "resource_api.printers": ("resource_api.printers", "resource_api.registry.scale", *API_SCHEMA),
    "resource_api.controllers": (
        "resource_api.controllers",
        "resource_api.registry",
        "resource_api.cache",
        "resource_api.security.certificates",
        "resource_api.security.signing",
        "resource_api.security.legacy_tokens",
        "resource_api.security.authority_bundle",
        "resource_api.security.bootstrap_policy",
        "resource_api.security.admission.resource_quota",
        "resource_api.schema",
        *API_LEAVES,
    ),
    "resource_api.http": (
        "resource_api.http",
        "resource_api.registry",
        "resource_api.cache",
        "resource_api.patch",
        "resource_api.security.authn",
        "resource_api.security.authorization",
        "resource_api.security.impersonation",
        "resource_api.security.limits",
        "resource_api.schema",
        "raftkv.connection_log",
        *API_LEAVES,
    ),
    "resource_api.server": ("resource_api.http", "resource_api.registry.api", "resource_api.schema", *API_LEAVES),
    "resource_api.client": ("resource_api.errors",),
    "resource_api.config": ("resource_api.config_flags", "resource_api.schema.times"),
    "resource_api.config_flags": (),
    "resource_api.measures": ("resource_api.http.counters", "resource_api.controllers", "resource_api.registry", *API_LEAVES),
    "resource_api.readiness": (
        "resource_api.http.health",
        "resource_api.controllers.object_index",
        "resource_api.cache",
        *API_SEAMS,
    ),
    "resource_api.control_plane": ("resource_api", "raftkv.clock"),
    "resource_api.embedded": ("resource_api", "raftkv.embedded", "raftkv.clock"),
    "resource_api.start_faults": (
        "resource_api.config",
        "resource_api.errors",
        "resource_api.registry.store",
        "resource_api.security.files",
        "resource_api.server",
        "raftkv.errors",
    ),
    "resource_api.__main__": (
        "resource_api.config",
        "resource_api.embedded",
        "resource_api.control_plane",
        "resource_api.http.health",
        "resource_api.start_faults",
        "raftkv.process",
    ),
}
"""The API server. What is on top of it stands last."""

IMPORTERS: dict[str, tuple[str, ...]] = {
    "resource_api.control_plane": ("resource_api.embedded", "resource_api.__main__"),
    "resource_api.embedded": ("resource_api", "resource_api.__main__"),
    "resource_api.registry.kv_store": ("resource_api.embedded",),
    "raftkv.process": ("raftkv.__main__", "resource_api.__main__"),
    "resource_api.security.admission.plugins": ("resource_api.control_plane",),
}
"""Modules that are for one or two others alone, whatever the rows above allow."""

LAYERS: dict[str, tuple[str, ...]] = {
    "raftkv": ("raftkv.embedded", "raftkv.client", "raftkv.errors"),
    "raftkv.pb": ("raftkv.pb",),
    "raftkv.errors": (),
    "raftkv.metrics": (),
    "raftkv.clock": (),
    "raftkv.failpoints": ("raftkv.errors",),
    "raftkv.failpoint_http": ("raftkv.failpoints", "raftkv.errors"),
    "raftkv.logs": (),
    "raftkv.wire": (),
    "raftkv.process": (),
    "raftkv.connection_log": (),
    "raftkv.raft": ("raftkv.raft", "raftkv.errors"),
    "raftkv.transport": ("raftkv.transport", "raftkv.errors"),
    **dict.fromkeys(TRANSPORT_WITH_IO, ("raftkv.transport", *LEAVES)),
    "raftkv.storage": ("raftkv.storage", "raftkv.raft.messages", "raftkv.raft.storage", *LEAVES),
    "raftkv.mvcc": ("raftkv.mvcc", "raftkv.storage.backend", *TIMELESS),
    "raftkv.state": ("raftkv.state", "raftkv.mvcc", "raftkv.storage.backend", *TIMELESS),
    "raftkv.server": (
        "raftkv.server",
        "raftkv.raft",
        "raftkv.storage",
        "raftkv.mvcc",
        "raftkv.state",
        "raftkv.transport.client",
        "raftkv.transport.channel",
        *LEAVES,
    ),
    "raftkv.rpc": ("raftkv.rpc", "raftkv.server.api", "raftkv.transport", "raftkv.connection_log", *LEAVES),
    "raftkv.client": ("raftkv.client", "raftkv.transport", *LEAVES),
    "raftkv.config": COMPOSITION,
    "raftkv.embedded": COMPOSITION,
    "raftkv.up": ("raftkv.up", *LEAVES),
    "raftkv.__main__": COMPOSITION,
    "raftkv.testing": ("raftkv.client", "raftkv.embedded", "jepsen_like.sim", *LEAVES),
    **API_SERVER,
    "raftctl": ("raftctl", "raftkv.client", "resource_api.client", *LEAVES),
    "raftctl.commands.debug": ("raftctl", "raftkv.client", "resource_api.client", "raftkv.storage.dump", *LEAVES),
    "jepsen_like": ("jepsen_like", "raftkv.client", "raftkv.transport.client", *LEAVES),
    "jepsen_like.cluster.instrumented": ("jepsen_like", "raftkv"),
    "jepsen_like.sim": ("jepsen_like", "raftkv"),
}

SOCKETS = ("asyncio", "socket", "ssl", "select", "selectors", "http", "urllib.request", "socketserver")
THREADS = ("threading", "concurrent", "multiprocessing", "queue", "_thread")
CLOCKS = ("time", "datetime", "random", "secrets", "uuid")
ENTROPY = ("time", "random", "secrets", "uuid")
DISK = ("os", "pathlib", "shutil", "tempfile", "mmap", "fcntl", "glob")
SANS_IO = (*SOCKETS, *THREADS, *CLOCKS, *DISK, "logging")

BANNED: dict[str, tuple[str, ...]] = {
    "raftkv.raft": SANS_IO,
    "raftkv.transport": SANS_IO,
    "raftkv.wire": SANS_IO,
    **dict.fromkeys(TRANSPORT_WITH_IO, ()),
    "raftkv.storage": SOCKETS,
    "raftkv.mvcc": (*SOCKETS, *THREADS),
    "raftkv.state": (*SOCKETS, *THREADS, *CLOCKS, *DISK, "logging"),
    "raftkv.server": ("http", "aiohttp", "grpc"),
    "resource_api.schema": (*SOCKETS, *THREADS, *ENTROPY, "os", "logging"),
    "resource_api.patch": (*SOCKETS, *THREADS, *ENTROPY, "os", "logging"),
    "resource_api.printers": SANS_IO,
    "resource_api.registry": ("socket", "ssl", "http", *DISK),
    "resource_api.cache": ("socket", "ssl", "http", *DISK, *THREADS),
}

LIBRARIES: dict[str, tuple[str, ...]] = {
    "aiohttp": ("raftkv.rpc.http", "raftkv.connection_log", "resource_api.http.shell", "resource_api.client"),
    "bcrypt": ("raftkv.state", "raftkv.server"),
    "click": ("raftctl", "jepsen_like.main", "jepsen_like.seeds"),
    "crc32c": ("raftkv.storage", "raftkv.mvcc", "raftkv.state", "raftkv.server"),
    "cryptography": ("raftctl", "resource_api.security", "resource_api.schema.validation.certificates"),
    "google": ("raftkv.pb", "raftkv.rpc", "raftkv.state", "raftkv.server", "raftkv.client", "raftkv.mvcc", "raftctl"),
    "hpack": ("raftkv.transport",),
    "jwt": ("raftkv.state", "raftkv.server", "resource_api.security.tokens", "resource_api.security.legacy_tokens"),
    "lmdb": ("raftkv.storage",),
    "msgpack": ("raftkv.state", "raftkv.server", "raftkv.storage", "jepsen_like.cluster.instrumented"),
    "msgspec": ("raftkv.rpc", "raftctl", "resource_api"),
    "opentelemetry": ("raftkv.server", "raftkv.rpc", "raftkv.client"),
    "prometheus_client": ("raftkv.metrics", "raftkv.rpc", "raftkv.server"),
    "rich": ("raftctl",),
    "sortedcontainers": ("raftkv.mvcc", "raftkv.storage", "raftkv.state", "jepsen_like"),
    "textual": ("raftctl",),
    "uvloop": ("raftkv.process", "jepsen_like.cluster.instrumented"),
    "yaml": (
        "raftkv.config",
        "resource_api.http",
        "resource_api.schema.yaml_values",
        "resource_api.client",
        "resource_api.security.kubeconfig",
        "raftctl",
    ),
}

NO_OPEN = ("raftkv.rpc", "raftkv.state", "raftkv.raft", "raftkv.mvcc", "raftkv.transport")
"""These may not call the built-in `open`; `raftkv.transport.tls` reads certificates through ssl."""


def row(module: str, table: dict[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    """The entry of the longest prefix, or None. A product itself is no prefix: a new package needs its own row."""
    exact = [name for name in table if module == name or (name not in ROOTS and module.startswith(name + "."))]
    return table[max(exact, key=len)] if exact else None


def layer_faults(source: Source) -> list[str]:
    """Imports of ours that the table does not allow."""
    allowed = row(source.module, LAYERS)
    if allowed is None:
        return [f"{source.path}:1: {source.module} has no row in LAYERS"]
    return [
        f"{source.where(node)}: {source.module} may not import {name}"
        for node, name in source.imports
        if name.split(".")[0] in OURS and not under(name, *allowed) and name not in ROOT_CONSTANTS
    ]


def importer_faults(source: Source) -> list[str]:
    """Imports of what is for others alone."""
    return [
        f"{source.where(node)}: {target} is for {', '.join(importers)} alone"
        for node, name in source.imports
        for target, importers in IMPORTERS.items()
        if under(name, target) and source.module not in (target, *importers)
    ]


def foreign_faults(source: Source) -> list[str]:
    """Imports of the standard library or of third parties that the tables do not allow."""
    banned = row(source.module, BANNED) or ()
    faults = []
    for node, name in source.imports:
        top = name.split(".")[0]
        if under(name, *banned):
            faults.append(f"{source.where(node)}: {source.module} may not touch {name}")
        elif top in LIBRARIES and not under(source.module, *LIBRARIES[top]):
            faults.append(f"{source.where(node)}: {top} may be imported by {', '.join(LIBRARIES[top])} only")
        elif top not in LIBRARIES and top not in OURS and top not in sys.stdlib_module_names:
            faults.append(f"{source.where(node)}: {top} is not a dependency with a place in LIBRARIES")
    return faults


def open_faults(source: Source) -> list[str]:
    """Calls of the built-in `open` where files are none of the module's business."""
    if not under(source.module, *NO_OPEN):
        return []
    calls = (node for node in source.nodes if isinstance(node, ast.Call))
    return [f"{source.where(call)}: {source.module} may not open files" for call in calls if dotted(call.func) in ("open", "io.open")]


@pytest.mark.parametrize("check", [layer_faults, importer_faults, foreign_faults, open_faults], ids=lambda check: check.__name__)
def test_layering_of_the_tree_holds(check):
    """Layers are crossed only where the table says so."""
    faults = [fault for source in sources(*PRODUCT) for fault in check(source)]
    assert not faults, report(faults)


def test_modules_with_rows_of_their_own_exist():
    """A module that is gone does not keep its permission for a later one of that name."""
    assert set(TRANSPORT_WITH_IO) | set(API_SERVER) | set(IMPORTERS) <= {source.module for source in sources("raftkv", "resource_api")}


@pytest.mark.parametrize(
    ("path", "text", "check", "crossed"),
    [
        ("raftkv/raft/core.py", "import asyncio", foreign_faults, True),
        ("raftkv/raft/core.py", "from raftkv.errors import RequestError", layer_faults, False),
        ("raftkv/raft/core.py", "from raftkv import clock", layer_faults, True),
        ("raftkv/raft/core.py", "from . import log", layer_faults, False),
        ("raftkv/raft/core.py", "from ..transport import frames", layer_faults, True),
        ("raftkv/raft/core.py", "def f():\n    import random", foreign_faults, True),
        ("raftkv/storage/wal.py", "from raftkv.raft.messages import Entry", layer_faults, False),
        ("raftkv/storage/wal.py", "from raftkv.raft.core import Raft", layer_faults, True),
        ("raftkv/mvcc/store.py", "from raftkv.clock import Clock", layer_faults, True),
        ("raftkv/state/apply.py", "import os", foreign_faults, True),
        ("raftkv/state/apply.py", "open('x')", open_faults, True),
        ("raftkv/rpc/kv.py", "from raftkv.server.member import Member", layer_faults, True),
        ("raftkv/rpc/kv.py", "from raftkv.server.api import Member", layer_faults, False),
        ("raftkv/rpc/kv.py", "import aiohttp", foreign_faults, True),
        ("raftkv/rpc/http.py", "import aiohttp", foreign_faults, False),
        ("raftkv/server/member.py", "import http.client", foreign_faults, True),
        ("raftkv/server/member.py", "import boto3", foreign_faults, True),
        ("raftkv/newcomer/x.py", "pass", layer_faults, True),
        ("cli/raftctl/main.py", "from raftkv.server import api", layer_faults, True),
        ("cli/raftctl/commands/debug.py", "from raftkv.storage import dump", layer_faults, False),
        ("raftkv/client/client.py", "import raftctl.main", layer_faults, True),
        ("resource_api/schema/x.py", "from resource_api.registry.requests import User", layer_faults, True),
        ("resource_api/patch/x.py", "from resource_api.http.body import json_value", layer_faults, True),
        ("resource_api/registry/store.py", "from resource_api.registry.resource import Resource", layer_faults, True),
        ("resource_api/http/x.py", "from resource_api.registry.kv_store import KvStore", importer_faults, True),
        ("resource_api/http/x.py", "import aiohttp", foreign_faults, True),
        ("resource_api/embedded.py", "import resource_api.control_plane", importer_faults, False),
        ("resource_api/newcomer/x.py", "pass", layer_faults, True),
    ],
)
def test_layering_check_finds_what_it_is_for(path, text, check, crossed):
    """The checker itself: each kind of crossing is seen, each allowed import is not."""
    assert bool(check(Source(path, text))) is crossed
