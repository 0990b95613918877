"""A whole API server in this process: its store, an embedded member or any etcd v3 endpoints, its files, and the control plane over them.

The composition root beside `__main__`; nobody else knows where the store is.

A start is half imports and half waits for the disk, so they go on together: while the member opens its log, a thread reads the control
plane's modules and the certificates. From exec to readiness 0.60 s on an empty folder (0.73 one after the other), 0.45 s on a used
one (0.52); a third of a second more where no bytecode is kept.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import ipaddress
import pathlib
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from raftkv.clock import Clock, SystemClock
from raftkv.embedded import COLLECT_EVERY_OBJECTS, SWITCH_INTERVAL_S, private_member, running_member
from resource_api.config import ApiConfig
from resource_api.registry.kv_store import KvStore, open_store
from resource_api.registry.store import Store

if TYPE_CHECKING:
    from resource_api.control_plane import ControlPlane
    from resource_api.security.certificates import Leaf, Pair
    from resource_api.security.material import Material, Paths

DEFAULT_CERT_DIR = "/var/run/kubernetes"


@asynccontextmanager
async def running_api(config: ApiConfig, clock: Clock | None = None) -> AsyncIterator[ControlPlane]:
    """A server that serves until the end of the block. Raises ConfigError, OSError, StoreError."""
    clock = clock or SystemClock()
    loading = asyncio.get_running_loop().run_in_executor(None, _load, config, clock)
    # When the store fails first, nobody is left to hear that the files did too.
    loading.add_done_callback(lambda done: done.cancelled() or done.exception())
    async with AsyncExitStack() as stack:
        stack.enter_context(_tuned_interpreter())
        store = await stack.enter_async_context(_store(config, clock))
        material = await loading

        from resource_api.control_plane import running
        from resource_api.security.renewal import Renewal

        renewal = Renewal(paths_of(config), material, _serving_leaf(config), clock)
        plane = await stack.enter_async_context(running(config, store, clock, material))

        def write(admin: Pair) -> None:
            if config.write_kubeconfig:
                write_admin_kubeconfig(pathlib.Path(config.write_kubeconfig), plane, material.serving_authority_pem, admin)

        write(material.admin)
        plane.own(renewal.run(write, plane.authenticator.trust), "certificates")
        plane.is_started = True
        yield plane


@contextmanager
def _tuned_interpreter() -> Iterator[None]:
    """As a member has it, with or without one: work in threads does not hold up the loop, what is cached costs few collections."""
    interval_s, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(COLLECT_EVERY_OBJECTS, *thresholds[1:])
    try:
        yield
    finally:
        sys.setswitchinterval(interval_s)
        gc.set_threshold(*thresholds)


def _load(config: ApiConfig, clock: Clock) -> Material:
    """The files, and the modules of the control plane. In a thread of its own."""
    from resource_api.security.material import open_material

    material = open_material(paths_of(config), clock, _serving_leaf(config))
    importlib.import_module("resource_api.control_plane")
    return material


def paths_of(config: ApiConfig) -> Paths:
    """Where the server's files are."""
    from resource_api.security.material import Paths

    directory = config.cert_dir or (f"{config.embedded}/api" if config.embedded else DEFAULT_CERT_DIR)
    return Paths(
        pathlib.Path(directory),
        serving_certificate=config.tls_cert_file,
        serving_key=config.tls_private_key_file,
        client_authority=config.client_ca_file,
        tokens=config.token_auth_file,
        signing_key=config.service_account_signing_key_file,
        verifying_keys=config.service_account_key_file,
        proxy_authority=config.requestheader_client_ca_file,
    )


def write_admin_kubeconfig(path: pathlib.Path, plane: ControlPlane, authority_pem: bytes, admin: Pair) -> None:
    """For the administrator, mode 0600."""
    from resource_api.security.kubeconfig import kubeconfig, write_kubeconfig

    host = plane.config.advertise_address or plane.config.bind_address
    if ipaddress.ip_address(host).is_unspecified:
        host = "127.0.0.1"
    shown = f"[{host}]" if ":" in host else host
    config = kubeconfig(f"https://{shown}:{plane.secure_port}", authority_pem, admin=admin)
    write_kubeconfig(path, config)


@asynccontextmanager
async def _store(config: ApiConfig, clock: Clock) -> AsyncIterator[Store]:
    async with AsyncExitStack() as stack:
        if config.embedded:
            settings = private_member(config.embedded, compact_after_s=config.etcd_compaction_interval_s)
            member = await stack.enter_async_context(running_member(settings))
            store = KvStore(member.client(), config.etcd_prefix, clock=clock)
        else:
            store = open_store(
                config.etcd_servers,
                config.etcd_prefix,
                authority=config.etcd_cafile,
                certificate=config.etcd_certfile,
                key=config.etcd_keyfile,
                clock=clock,
            )
        stack.push_async_callback(store.aclose)
        yield store


def _serving_leaf(config: ApiConfig) -> Leaf:
    """What clients may call the server besides the usual names: its Service's address, and where it listens."""
    from resource_api.security.certificates import serving_leaf

    given = (config.bind_address, config.advertise_address)
    names = [one for one in given if one and not ipaddress.ip_address(one).is_unspecified]
    return serving_leaf(service_ip=str(ipaddress.ip_network(config.service_cluster_ip_range[0])[1]), extra_names=names)
