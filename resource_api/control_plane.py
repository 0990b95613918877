"""The API server put together: resources over a store, who may change them, what works on them by itself, and the HTTP face.

Composition only: what is decided here is the order of things. The store, the clock and the files come from outside. Loop only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from raftkv.clock import Clock
from resource_api.cache.item import Event, Item
from resource_api.cache.watch_cache import WatchCache
from resource_api.config import ApiConfig
from resource_api.controllers import bootstrap
from resource_api.controllers.api_services import ApiServices
from resource_api.controllers.authorities import AuthorityBundle
from resource_api.controllers.bootstrap import Advertised
from resource_api.controllers.certificates import CertificateSigner
from resource_api.controllers.cluster_objects import ClusterObjects
from resource_api.controllers.cluster_roles import ClusterRoleAggregation
from resource_api.controllers.crd import DefinitionController
from resource_api.controllers.flow_schemas import FlowSchemas
from resource_api.controllers.followers import follow
from resource_api.controllers.gc import GarbageCollector
from resource_api.controllers.namespaces import NamespaceController
from resource_api.controllers.object_index import ObjectIndex
from resource_api.controllers.quotas import QuotaController
from resource_api.controllers.runner import Controller, Controllers
from resource_api.controllers.service_account import NamespaceContent
from resource_api.controllers.service_addresses import ServiceAddresses
from resource_api.controllers.token_secrets import TokenSecrets
from resource_api.errors import Object
from resource_api.http import issuer_documents
from resource_api.http.chain import ChainSettings
from resource_api.http.guards import guards
from resource_api.measures import Measures
from resource_api.printers.table import Tables
from resource_api.readiness import Readiness
from resource_api.registry.admission import Plugin
from resource_api.registry.api import Api
from resource_api.registry.builtin import builtin_models
from resource_api.registry.catalog import Catalog
from resource_api.registry.compactor import Compactor
from resource_api.registry.component_status import ComponentStatuses, probes
from resource_api.registry.pods import pod_actions
from resource_api.registry.store import Store
from resource_api.schema.protobuf.envelope import decode_envelope, encode_envelope
from resource_api.security.admission.plugins import Surroundings, plugins
from resource_api.security.admission.resource_quota import ResourceQuota
from resource_api.security.authn import Authenticator, FrontProxy
from resource_api.security.authorization import AlwaysAllow, AlwaysDeny, Authorizer, AuthorizerChain
from resource_api.security.bootstrap_policy import reconcile_bootstrap
from resource_api.security.flow_matching import Collection, FlowIndex
from resource_api.security.legacy_tokens import LegacyTokens
from resource_api.security.lookup import CACHES_NEEDED, get_or_none
from resource_api.security.material import Material
from resource_api.security.node_authorizer import NodeAuthorizer
from resource_api.security.rbac import PLURALS, PolicyIndex, RbacAuthorizer
from resource_api.security.review_actions import review_actions
from resource_api.security.tokens import TokenIssuer
from resource_api.server import ApiServer

log = logging.getLogger("resource_api")

FLOW_GROUP = "flowcontrol.apiserver.k8s.io"
RBAC_GROUP = "rbac.authorization.k8s.io"

NODE_NEEDS = (("", "pods"),)
"""What mode Node looks into besides."""

WATCHED = (("", "services"), ("networking.k8s.io", "ipaddresses"), ("policy", "poddisruptionbudgets"))
"""Collections that are looked into besides those of admission."""


CANCELLED_S = 5.0
"""The longest wait for what is cancelled when a start fails."""


class ControlPlane:
    """One API server over one store. Made and run by `running`."""

    def __init__(self, config: ApiConfig, store: Store, clock: Clock, material: Material, group: asyncio.TaskGroup) -> None:
        self.config = config
        self._clock = clock
        self._group = group
        self.api = Api()
        self.measures = Measures(store, self.api, clock)
        self.store = store = self.measures.store
        self.policy = PolicyIndex()
        self.flows = FlowIndex()
        self.index = ObjectIndex(store, self.api, decode_envelope)
        rbac = RbacAuthorizer(self.policy)
        modes: dict[str, Authorizer] = {
            "RBAC": rbac,
            "Node": NodeAuthorizer(self.api),
            "AlwaysAllow": AlwaysAllow(),
            "AlwaysDeny": AlwaysDeny(),
        }
        self.authorizer = AuthorizerChain([modes[mode] for mode in config.authorization_mode])
        self.admission = self.measures.admission
        self.catalog = Catalog(store, group=group, clock=clock, admission=self.admission, event_ttl_s=int(config.event_ttl_s))
        self.issuer = TokenIssuer(
            clock,
            material.signing_key,
            self._core_object,
            issuer=config.service_account_issuer[0],
            api_audiences=config.api_audiences,
            public_keys=material.verifying_keys,
            expiration_max_s=int(config.service_account_max_token_expiration_s),
            extend=config.service_account_extend_token_expiration,
        )
        self._legacy_tokens = LegacyTokens(material.signing_key, self._core_object, material.verifying_keys)
        self.authenticator = Authenticator(
            clock,
            tokens=material.static_tokens,
            issuer=self.issuer,
            legacy=self._legacy_tokens,
            lookup=self.api,
            anonymous=config.anonymous_auth,
            front_proxy=_front_proxy(config, material),
            client_authorities=material.client_authorities,
        )
        self.addresses = ServiceAddresses(
            self.api, store, self.index, clock, networks=config.service_cluster_ip_range, ports=config.node_ports
        )
        self._material = material
        self._rules = (rbac,)
        self.server = ApiServer(
            self.api,
            replace(guards(self.authenticator, self.authorizer), flow=self.flows.headers),
            clock=clock,
            decode_protobuf=decode_envelope,
            encode_protobuf=encode_envelope,
            rows=Tables(clock.wall_s),
            settings=ChainSettings(config.request_timeout_s, config.max_requests_inflight, config.max_mutating_requests_inflight),
        )
        issuer_documents.install(
            self.server.routes, self.issuer.openid_configuration, self.issuer.jwks, lambda: f"{self.advertised.address}:{self.secure_port}"
        )
        self.definitions = DefinitionController(self.api, self.index, self.catalog, clock)
        self.admission.plugins = tuple(self._plugins())
        self.controllers = Controllers(self.index, self._make_controllers())
        self.secure_port = 0
        self.insecure_port = 0
        self.tasks: list[asyncio.Task[None]] = []
        self.is_started = False
        """Everything a client needs stands: set by who composes, when the kubeconfig is written too."""
        self.server.health.ready["start"] = self._started
        self.readiness = Readiness(self.store, self.index)
        self.readiness.install(self.server.health)
        self.measures.install(self.server.counters, self.index)

    def _make_controllers(self) -> list[Controller]:
        bundle = AuthorityBundle(self.api, self._material.serving_authority_pem.decode())
        return [
            self.definitions,
            GarbageCollector(self.api, self.index),
            NamespaceController(self.api, self.index),
            NamespaceContent(self.api, self.index, bundle),
            TokenSecrets(self.api, self.index, self._legacy_tokens, bundle),
            ApiServices(self.api, self.index, self._clock),
            ClusterRoleAggregation(self.api, self.index),
            FlowSchemas(self.api, self.index, self._clock),
            ClusterObjects(self.api, self.index, lambda: self.advertised if self.secure_port else None),
            CertificateSigner(self.api, self.index, self._material.authority, self._clock),
            self.addresses,
            *(QuotaController(plugin, self.index) for plugin in self.admission.plugins if isinstance(plugin, ResourceQuota)),
        ]

    async def start(self) -> None:
        """Serves when it returns. Raises OSError when a port cannot be had, StatusError and StoreError when the store fails."""
        self.api.add(*(self.catalog.resource(model) for model in builtin_models().values()))
        await self.definitions.load()
        reviews = review_actions(self.authorizer, self._rules, self.authenticator, self.issuer)
        for (group, plural, subresource), action in {**reviews, **pod_actions(self.api)}.items():
            self.api.find(group, plural).actions[subresource] = action
        components = self.api.find("", "componentstatuses")
        components.reader = ComponentStatuses(components.reader, self.store, probes(self.store, self._controllers_work))
        await self._fill_caches()
        await bootstrap.namespaces(self.api)
        await reconcile_bootstrap(self.api)
        self.server.counters.sources.append(self.controllers.samples)
        self.own(self.controllers.run(), "controllers")
        self.own(self.measures.follow_size(), "size of the store")
        if self.config.etcd_compaction_interval_s and not self.config.embedded:
            self.own(Compactor(self.store, self.config.etcd_compaction_interval_s).run(), "compactor")
        await self.addresses.start()
        config = self.config
        self.secure_port = await self.server.listen(config.bind_address, config.secure_port, self._material.tls)
        if config.insecure_port >= 0:
            self.insecure_port = await self.server.listen("127.0.0.1", config.insecure_port, None)
        await bootstrap.service(self.api, self.advertised)

    async def _core_object(self, plural: str, namespace: str, name: str) -> Object | None:
        return await get_or_none(self.api, "", plural, namespace, name)

    async def _controllers_work(self) -> str:
        return "" if self.index.ready.is_set() else "the controllers have not read the store yet"

    async def _started(self) -> str:
        return "" if self.is_started else "the server is starting"

    def own(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Goes on until the server stops, and ends the server when it fails."""
        self.tasks.append(self._group.create_task(work, name=name))

    @property
    def advertised(self) -> Advertised:
        """Where clients reach the server."""
        return Advertised(self.config.advertise_address or self.config.bind_address, self.secure_port, self.config.service_cluster_ip_range)

    def _plugins(self) -> list[Plugin]:
        around = Surroundings(self.api, self._clock, self.authorizer, self.policy, self.api.preferred)
        made = plugins(around, enable=self.config.enable_admission_plugins, disable=self.config.disable_admission_plugins)
        # Addresses are taken for what the others accepted, and before quota counts.
        return [*made[:-1], self.addresses, *made[-1:]]

    async def _fill_caches(self) -> None:
        """What is asked for on every write is in memory before the first one; RBAC's objects are followed into its index."""
        needed = [
            *CACHES_NEEDED,
            *NODE_NEEDS * ("Node" in self.config.authorization_mode),
            *((RBAC_GROUP, plural) for plural in PLURALS),
            *WATCHED,
        ]
        caches = {f"{plural}.{group}".rstrip("."): self.api.find(group, plural).reader.cache for group, plural in needed}
        self.readiness.caches = caches
        for cache in caches.values():
            cache.start()
        for cache in caches.values():
            await cache.ready()
        for plural in PLURALS:
            ready = asyncio.Event()
            follower = PolicyFollower(self.policy, plural)
            cache = self.api.find(RBAC_GROUP, plural).reader.cache
            self.own(follow(cache, follower.replace, follower.change, ready), f"policy: {plural}")
            await ready.wait()
        for plural, put in (("prioritylevelconfigurations", self.flows.set_levels), ("flowschemas", self.flows.set_schemas)):
            self.own(_follow_flows(self.api.find(FLOW_GROUP, plural).reader.cache, Collection(put)), f"flows: {plural}")

    async def stop(self) -> None:
        """Ends watches cleanly, answers what is in progress, lets go of the store."""
        await self.server.stop()
        self.catalog.caches.stop()

    def cancel(self) -> None:
        """Ends what works by itself."""
        for task in self.tasks:
            task.cancel()

    def describe(self) -> str:
        """For people."""
        return "\n".join((self.policy.describe(), self.controllers.describe(), self.catalog.caches.describe()))


def _front_proxy(config: ApiConfig, material: Material) -> FrontProxy | None:
    """Who may say who asks; None when no CA was given for that."""
    if not material.proxy_authorities:
        return None

    def lower(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name.lower() for name in names)

    return FrontProxy(
        material.proxy_authorities,
        config.requestheader_allowed_names,
        lower(config.requestheader_username_headers),
        lower(config.requestheader_uid_headers),
        lower(config.requestheader_group_headers),
        lower(config.requestheader_extra_headers_prefix),
    )


async def _follow_flows(cache: WatchCache, collection: Collection) -> None:
    """Nobody waits for it: until it has read them, answers do not say how they were counted."""

    def replace(items: Sequence[Item]) -> None:
        collection.replace([item.object() for item in items])

    def change(event: Event) -> None:
        collection.change(event.item.object(), is_deleted=event.type == "DELETED")

    cache.start()
    await follow(cache, replace, change, asyncio.Event())


class PolicyFollower:
    """Puts one collection of RBAC objects into the index."""

    def __init__(self, policy: PolicyIndex, plural: str) -> None:
        self._policy = policy
        self._plural = plural

    def replace(self, items: Sequence[Item]) -> None:
        """All there are."""
        self._policy.replace(self._plural, [item.object() for item in items])

    def change(self, event: Event) -> None:
        """One more, one less, or another."""
        obj = event.item.object()
        if event.type == "DELETED":
            self._policy.remove(self._plural, str(obj["metadata"].get("namespace") or ""), obj["metadata"]["name"])
        else:
            self._policy.put(self._plural, obj)


@asynccontextmanager
async def running(config: ApiConfig, store: Store, clock: Clock, material: Material) -> AsyncIterator[ControlPlane]:
    """A server that serves, until the end of the block. The store is closed by who made it."""
    async with asyncio.TaskGroup() as group:
        plane = ControlPlane(config, store, clock, material, group)
        try:
            try:
                await plane.start()
            except BaseException:
                # Nothing works on without its caches, and complains of it, while what was begun is let go of.
                plane.cancel()
                if plane.tasks:
                    await asyncio.wait(plane.tasks, timeout=CANCELLED_S)
                raise
            yield plane
        finally:
            await plane.stop()
            plane.cancel()
