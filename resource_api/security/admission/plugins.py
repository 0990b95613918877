"""All plugins in upstream's order, and which of them are on (`--enable-admission-plugins`, `--disable-admission-plugins`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from raftkv.clock import Clock
from resource_api.registry.admission import Plugin
from resource_api.security.admission.certificate_requests import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
    ClusterTrustBundleAttest,
)
from resource_api.security.admission.declared_features import NodeDeclaredFeatureValidator
from resource_api.security.admission.default_ingress_class import DefaultIngressClass
from resource_api.security.admission.default_toleration_seconds import DefaultTolerationSeconds
from resource_api.security.admission.limit_ranger import LimitRanger
from resource_api.security.admission.namespace_lifecycle import NamespaceLifecycle
from resource_api.security.admission.node_restriction import NodeRestriction
from resource_api.security.admission.pod_placement import PodResizeValidator, PodTopologyLabels
from resource_api.security.admission.pod_security import PodSecurity
from resource_api.security.admission.priority import Priority
from resource_api.security.admission.rbac_escalation import RbacEscalation
from resource_api.security.admission.resource_quota import Countable, ResourceQuota
from resource_api.security.admission.runtime_class import RuntimeClass
from resource_api.security.admission.service_account import ServiceAccount
from resource_api.security.admission.storage_classes import DefaultStorageClass, PersistentVolumeClaimResize, StorageObjectInUseProtection
from resource_api.security.admission.taint_nodes import TaintNodesByCondition
from resource_api.security.admission.uncalled_policies import UncalledPolicies
from resource_api.security.authorization import Authorizer
from resource_api.security.lookup import Lookup
from resource_api.security.rbac import PolicyIndex, RbacAuthorizer

OFF_BY_DEFAULT = frozenset({"NodeRestriction", "StorageObjectInUseProtection"})
ALWAYS_ON = frozenset({"RBACEscalation", "UncalledPolicies"})
"""Not upstream's plugins: rules of its storage, and honesty of ours."""

NOT_BUILT = frozenset(
    {
        "PodGroupProtection",
        "PodGroupWorkloadExists",
        "JobValidation",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionWebhook",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionWebhook",
    }
)
"""On by default upstream and missing here: webhooks and policies, and plugins about pod groups: they protect them, look for their workloads
and hold jobs to them (behind alpha gates that are off), and no version of PodGroup or Workload is served by default."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What plugins work with."""

    lookup: Lookup
    clock: Clock
    authorizer: Authorizer
    index: PolicyIndex
    countable: Callable[[], Iterable[Countable]]
    """Every resource once, whatever versions it has, for ResourceQuota to count."""


def every_plugin(around: Surroundings) -> list[Plugin]:
    """In order; ResourceQuota last, so that it charges only what everybody accepted."""
    lookup, clock, authorizer = around.lookup, around.clock, around.authorizer
    return [
        NamespaceLifecycle(lookup, clock),
        LimitRanger(lookup),
        ServiceAccount(lookup, clock),
        NodeRestriction(),
        TaintNodesByCondition(),
        PodSecurity(lookup),
        Priority(lookup),
        DefaultTolerationSeconds(),
        DefaultStorageClass(lookup),
        StorageObjectInUseProtection(),
        PersistentVolumeClaimResize(lookup),
        RuntimeClass(lookup),
        CertificateApproval(authorizer),
        CertificateSigning(authorizer),
        ClusterTrustBundleAttest(authorizer),
        CertificateSubjectRestriction(),
        DefaultIngressClass(lookup),
        PodTopologyLabels(lookup),
        NodeDeclaredFeatureValidator(lookup),
        PodResizeValidator(lookup),
        RbacEscalation(around.index, RbacAuthorizer(around.index), authorizer),
        UncalledPolicies(),
        ResourceQuota(lookup, around.countable),
    ]


def plugins(around: Surroundings, *, enable: Iterable[str] = (), disable: Iterable[str] = ()) -> tuple[Plugin, ...]:
    """Those that are on. A name that is enabled and disabled is on, as upstream has it."""
    off = (OFF_BY_DEFAULT | set(disable)) - set(enable) - ALWAYS_ON
    return tuple(plugin for plugin in every_plugin(around) if plugin.name not in off)


def unknown_names(names: Iterable[str]) -> list[str]:
    """Names that are no plugin of upstream's compiled-in list; a start with one is refused."""
    known = {"AlwaysAdmit", "AlwaysDeny", "AlwaysPullImages", "DenyServiceExternalIPs", "EventRateLimit", "ExtendedResourceToleration"}
    known |= {"ImagePolicyWebhook", "LimitPodHardAntiAffinityTopology", "NamespaceAutoProvision", "NamespaceExists", "PodNodeSelector"}
    known |= {"OwnerReferencesPermissionEnforcement", "PodTolerationRestriction", *NOT_BUILT, *BUILT}
    return [name for name in names if name not in known]


BUILT = frozenset(
    {
        "CertificateApproval",
        "CertificateSigning",
        "CertificateSubjectRestriction",
        "ClusterTrustBundleAttest",
        "DefaultIngressClass",
        "DefaultStorageClass",
        "DefaultTolerationSeconds",
        "LimitRanger",
        "NamespaceLifecycle",
        "NodeDeclaredFeatureValidator",
        "NodeRestriction",
        "PersistentVolumeClaimResize",
        "PodResizeValidator",
        "PodSecurity",
        "PodTopologyLabels",
        "Priority",
        "ResourceQuota",
        "RuntimeClass",
        "ServiceAccount",
        "StorageObjectInUseProtection",
        "TaintNodesByCondition",
    }
)
