"""Each plugin's rules, alone."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from resource_api.errors import Object, StatusError
from resource_api.registry.admission import Admission, AdmissionRequest, Plugin
from resource_api.registry.requests import User
from resource_api.security.admission.certificate_requests import CertificateApproval, CertificateSigning, CertificateSubjectRestriction
from resource_api.security.admission.default_ingress_class import DefaultIngressClass
from resource_api.security.admission.default_toleration_seconds import DefaultTolerationSeconds
from resource_api.security.admission.namespace_lifecycle import NamespaceLifecycle
from resource_api.security.admission.plugins import BUILT, Surroundings, every_plugin, plugins, unknown_names
from resource_api.security.admission.priority import Priority
from resource_api.security.admission.rbac_escalation import RbacEscalation
from resource_api.security.admission.runtime_class import RuntimeClass
from resource_api.security.admission.storage_classes import DefaultStorageClass, PersistentVolumeClaimResize, StorageObjectInUseProtection
from resource_api.security.admission.taint_nodes import TaintNodesByCondition
from resource_api.security.admission.uncalled_policies import UncalledPolicies
from resource_api.security.authorization import AlwaysAllow, AlwaysDeny
from resource_api.security.rbac import PolicyIndex, RbacAuthorizer
from tests.resource_api.security.cluster import FakeCluster, SetClock, request
from tests.resource_api.security.test_rbac import authorizer, binding, role, rule


def run(plugin: Plugin, write: AdmissionRequest) -> None:
    """Both passes, as the pipeline makes them."""

    async def passes() -> None:
        admission = Admission([plugin])
        await admission.admit(write)
        await admission.validate(write)

    asyncio.run(passes())


def refusal(plugin: Plugin, write: AdmissionRequest, code: int = 403) -> str:
    with pytest.raises(StatusError) as raised:
        run(plugin, write)
    assert raised.value.code == code
    return raised.value.message


def namespace(name: str = "default", phase: str = "Active", **labels: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}, "status": {"phase": phase}}


def pod(**spec: Any) -> Object:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}], **spec}}


def config_map() -> Object:
    return {"metadata": {"name": "x"}}


# NamespaceLifecycle


def test_writes_need_a_namespace_that_is_there_and_not_going():
    """404 for a missing one, 403 with a cause for one that is going, which takes changes still."""
    plugin = NamespaceLifecycle(FakeCluster(namespace(), namespace("old", "Terminating")), SetClock())
    run(plugin, request("ConfigMap", "configmaps", config_map()))
    assert refusal(plugin, request("ConfigMap", "configmaps", config_map(), namespace="nope"), 404) == 'namespaces "nope" not found'
    with pytest.raises(StatusError) as raised:
        run(plugin, request("ConfigMap", "configmaps", config_map(), namespace="old"))
    assert raised.value.message == (
        'configmaps "x" is forbidden: unable to create new content in namespace old because it is being terminated'
    )
    (cause,) = raised.value.causes
    assert (cause.reason, cause.field) == ("NamespaceTerminating", "metadata.namespace")
    assert cause.message == "namespace old is being terminated"
    run(plugin, request("ConfigMap", "configmaps", config_map(), old=config_map(), operation="UPDATE", namespace="old"))
    run(plugin, request("ConfigMap", "configmaps", None, old=config_map(), operation="DELETE", namespace="nope"))


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_three_namespaces_stay(name):
    """Whoever asks."""
    plugin = NamespaceLifecycle(FakeCluster(), SetClock())
    text = refusal(plugin, request("Namespace", "namespaces", None, old=namespace(name), operation="DELETE", namespace=""))
    assert text == f'namespaces "{name}" is forbidden: this namespace may not be deleted'


def test_a_deleted_namespace_is_read_from_the_store_for_a_while():
    """The cache may lag behind the deletion this server just made."""
    cluster, clock = FakeCluster(namespace("old")), SetClock()
    plugin = NamespaceLifecycle(cluster, clock)
    stale = cluster.items_nowait("", "namespaces")[0]
    cluster.get_nowait = lambda *args: stale  # type: ignore[method-assign]
    run(plugin, request("Namespace", "namespaces", None, old=namespace("old"), operation="DELETE", namespace=""))
    cluster.find("", "namespaces").objects[("", "old")] = namespace("old", "Terminating")
    refusal(plugin, request("ConfigMap", "configmaps", config_map(), namespace="old"))
    clock.now_s += 31
    cluster.find("", "namespaces").objects.clear()
    refusal(plugin, request("ConfigMap", "configmaps", config_map(), namespace="old"), 404)
    run(plugin, request("ConfigMap", "configmaps", config_map(), namespace="old"))


# Priority


def priority_class(name: str, value: int, **more: Any) -> Object:
    return {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value, **more}


def test_priority_is_computed_from_the_class():
    """By name, by default, or zero; other values are refused."""
    cluster = FakeCluster(priority_class("high", 10, preemptionPolicy="Never"), priority_class("usual", 5, globalDefault=True))
    plugin = Priority(cluster)
    for spec, wanted in (({"priorityClassName": "high"}, (10, "Never", "high")), ({}, (5, "PreemptLowerPriority", "usual"))):
        obj = pod(**spec)
        run(plugin, request("Pod", "pods", obj))
        assert (obj["spec"]["priority"], obj["spec"]["preemptionPolicy"], obj["spec"]["priorityClassName"]) == wanted
    obj = pod()
    run(Priority(FakeCluster()), request("Pod", "pods", obj))
    assert obj["spec"]["priority"] == 0 and "priorityClassName" not in obj["spec"]
    assert refusal(plugin, request("Pod", "pods", pod(priorityClassName="no"))).endswith("no PriorityClass with name no was found")
    assert refusal(plugin, request("Pod", "pods", pod(priority=7))).endswith(
        "the integer value of priority (7) must not be provided in pod spec; "
        "priority admission controller computed 5 from the given PriorityClass name"
    )
    assert "PreemptionPolicy (Never)" in refusal(plugin, request("Pod", "pods", pod(preemptionPolicy="Never")))


def test_there_is_one_default_priority_class():
    """A second one is refused; the first may be written again."""
    plugin = Priority(FakeCluster(priority_class("usual", 5, globalDefault=True)))
    more = {"group": "scheduling.k8s.io", "namespace": ""}
    assert refusal(plugin, request("PriorityClass", "priorityclasses", priority_class("x", 1, globalDefault=True), **more)).endswith(
        "PriorityClass usual is already marked as default. Only one default can exist"
    )
    same = priority_class("usual", 5, globalDefault=True)
    run(plugin, request("PriorityClass", "priorityclasses", same, old=same, operation="UPDATE", **more))


def test_system_priority_classes_cannot_be_deleted():
    """Pods of the system would lose their priority; another class goes."""
    plugin = Priority(FakeCluster())

    def deletion(name: str) -> AdmissionRequest:
        old, more = priority_class(name, 1), {"group": "scheduling.k8s.io", "namespace": ""}
        return request("PriorityClass", "priorityclasses", None, old=old, operation="DELETE", **more)

    for name in ("system-cluster-critical", "system-node-critical"):
        assert refusal(plugin, deletion(name)) == (
            f'priorityclasses.scheduling.k8s.io "{name}" is forbidden: this is a system priority class and cannot be deleted'
        )
    run(plugin, deletion("high"))


# Small ones


def test_new_nodes_are_tainted_once():
    """Until somebody says they are ready."""
    node: Object = {"metadata": {"name": "n"}}
    for _ in range(2):
        run(TaintNodesByCondition(), request("Node", "nodes", node, namespace=""))
    assert node["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


def test_default_tolerations_fill_what_is_not_covered():
    """A toleration without key or effect covers; one for another effect does not."""
    obj = pod(tolerations=[{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule", "operator": "Exists"}])
    run(DefaultTolerationSeconds(), request("Pod", "pods", obj))
    added = obj["spec"]["tolerations"][1:]
    assert [one["key"] for one in added] == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
    assert added[0] == {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    before = list(obj["spec"]["tolerations"])
    run(DefaultTolerationSeconds(), request("Pod", "pods", obj))
    assert obj["spec"]["tolerations"] == before
    everything = pod(tolerations=[{"operator": "Exists"}])
    run(DefaultTolerationSeconds(), request("Pod", "pods", everything))
    assert len(everything["spec"]["tolerations"]) == 1


def storage_class(name: str, *, default: bool = False, made: str = "2024-01-01T00:00:00Z", **more: Any) -> Object:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    metadata = {"name": name, "annotations": annotations, "creationTimestamp": made}
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": metadata, **more}


def claim(size: str = "1Gi", phase: str = "Bound", **spec: Any) -> Object:
    spec = {"resources": {"requests": {"storage": size}}, **spec}
    return {"metadata": {"name": "c"}, "spec": spec, "status": {"phase": phase}}


def test_claims_get_the_newest_default_class():
    """Unless they name one; the empty name is one."""
    plugin = DefaultStorageClass(
        FakeCluster(
            storage_class("old", default=True),
            storage_class("new", default=True, made="2025-01-01T00:00:00Z"),
            storage_class("none", made="2026-01-01T00:00:00Z"),
        )
    )
    for sent, got in (({}, "new"), ({"storageClassName": ""}, ""), ({"storageClassName": "x"}, "x")):
        obj = claim(**sent)
        run(plugin, request("PersistentVolumeClaim", "persistentvolumeclaims", obj))
        assert obj["spec"]["storageClassName"] == got


def test_claims_grow_when_bound_and_allowed():
    """Shrinking is validation's affair."""
    plugin = PersistentVolumeClaimResize(FakeCluster(storage_class("grows", allowVolumeExpansion=True), storage_class("fixed")))

    def resize(new: Object, old: Object) -> AdmissionRequest:
        return request("PersistentVolumeClaim", "persistentvolumeclaims", new, old=old, operation="UPDATE")

    run(plugin, resize(claim("2Gi", storageClassName="grows"), claim(storageClassName="grows")))
    run(plugin, resize(claim("1024Mi", storageClassName="fixed"), claim(storageClassName="fixed")))
    assert "must support resize" in refusal(plugin, resize(claim("2Gi", storageClassName="fixed"), claim(storageClassName="fixed")))
    assert "must support resize" in refusal(plugin, resize(claim("2Gi"), claim()))
    assert "Only bound" in refusal(plugin, resize(claim("2Gi", storageClassName="grows"), claim(phase="Pending", storageClassName="grows")))


def test_protection_adds_its_finalizer_once():
    """Only where it is switched on."""
    obj = claim()
    for _ in range(2):
        run(StorageObjectInUseProtection(), request("PersistentVolumeClaim", "persistentvolumeclaims", obj))
    assert obj["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]


def runtime_class(**more: Any) -> Object:
    return {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "sandbox"}, **more}


def test_runtime_class_adds_overhead_and_scheduling():
    """What contradicts the class is refused; so is overhead without one."""
    scheduling = {"nodeSelector": {"a": "1"}, "tolerations": [{"key": "k", "operator": "Exists"}]}
    plugin = RuntimeClass(FakeCluster(runtime_class(overhead={"podFixed": {"cpu": "100m"}}, scheduling=scheduling)))
    obj = pod(runtimeClassName="sandbox", nodeSelector={"b": "2"})
    run(plugin, request("Pod", "pods", obj))
    assert obj["spec"]["overhead"] == {"cpu": "100m"} and obj["spec"]["nodeSelector"] == {"b": "2", "a": "1"}
    assert obj["spec"]["tolerations"] == scheduling["tolerations"]
    run(plugin, request("Pod", "pods", pod(runtimeClassName="sandbox", overhead={"cpu": "0.1"})))
    for spec, text in (
        ({"runtimeClassName": "no"}, 'pod rejected: RuntimeClass "no" not found'),
        ({"runtimeClassName": "sandbox", "overhead": {"cpu": "1"}}, "Pod's Overhead doesn't match RuntimeClass's defined Overhead"),
        ({"overhead": {"cpu": "1"}}, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"),
        ({"runtimeClassName": "sandbox", "nodeSelector": {"a": "2"}}, "conflict: runtimeClass.scheduling.nodeSelector[a] = 1"),
    ):
        assert text in refusal(plugin, request("Pod", "pods", pod(**spec)))


def test_ingresses_get_the_default_class():
    """Unless they name one, by field or by the old annotation."""
    marked = {"name": "nginx", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    plugin = DefaultIngressClass(FakeCluster({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": marked}))
    for metadata, spec, got in (
        ({"name": "i"}, {}, "nginx"),
        ({"name": "i"}, {"ingressClassName": "x"}, "x"),
        ({"name": "i", "annotations": {"kubernetes.io/ingress.class": "y"}}, {}, None),
    ):
        obj: Object = {"metadata": metadata, "spec": spec}
        run(plugin, request("Ingress", "ingresses", obj, group="networking.k8s.io"))
        assert obj["spec"].get("ingressClassName") == got


# Certificates


def csr(*organizations: str, signer: str = "kubernetes.io/kube-apiserver-client") -> Object:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    pem = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM)
    return {"metadata": {"name": "r"}, "spec": {"request": base64.b64encode(pem).decode(), "signerName": signer}}


def csr_write(obj: Object, **more: Any) -> AdmissionRequest:
    return request("CertificateSigningRequest", "certificatesigningrequests", obj, group="certificates.k8s.io", namespace="", **more)


def signer_rule(verb: str, name: str) -> RbacAuthorizer:
    rules = rule(verb, "certificates.k8s.io", "signers", names=name)
    return authorizer(
        clusterroles=[role("s", rules)], clusterrolebindings=[binding("b", "ClusterRole", "s", {"kind": "User", "name": "alice"})]
    )


@pytest.mark.parametrize("name", ["example.com/mine", "example.com/*"])
def test_approval_and_signing_need_their_verbs(name):
    """On the signer's name or its whole domain."""
    obj = csr(signer="example.com/mine")
    approval = csr_write(obj, old=obj, operation="UPDATE", subresource="approval")
    run(CertificateApproval(signer_rule("approve", name)), approval)
    assert refusal(CertificateApproval(signer_rule("sign", name)), approval).endswith(
        'user not permitted to approve requests with signerName "example.com/mine"'
    )
    signing = csr_write({**obj, "status": {"certificate": "eA=="}}, old=obj, operation="UPDATE", subresource="status")
    run(CertificateSigning(signer_rule("sign", name)), signing)
    assert "user not permitted to sign requests" in refusal(CertificateSigning(AlwaysDeny()), signing)
    run(CertificateSigning(AlwaysDeny()), csr_write(obj, old=obj, operation="UPDATE", subresource="status"))


def test_nobody_asks_for_a_certificate_of_masters():
    """Not even who may do everything; other signers decide for themselves."""
    run(CertificateSubjectRestriction(), csr_write(csr("devs")))
    run(CertificateSubjectRestriction(), csr_write(csr("system:masters", signer="example.com/x")))
    assert refusal(CertificateSubjectRestriction(), csr_write(csr("system:masters"))).endswith(
        "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
    )
    bad = csr()
    bad["spec"]["request"] = "eA=="
    refusal(CertificateSubjectRestriction(), csr_write(bad))


# Escalation


def grants(*rules: Object) -> RbacEscalation:
    index = PolicyIndex()
    index.put("clusterroles", role("mine", *rules))
    index.put("clusterroles", role("power", rule("*", "*", "*")))
    index.put("clusterrolebindings", binding("b", "ClusterRole", "mine", {"kind": "User", "name": "alice"}))
    rbac = RbacAuthorizer(index)
    return RbacEscalation(index, rbac, rbac)


RBAC = {"group": "rbac.authorization.k8s.io"}


def test_roles_need_what_they_grant_or_escalate():
    """The text names user, groups and rules; a change of finalizers alone is not checked."""
    wanted = role("r", rule("get,delete", "", "pods"))
    text = refusal(grants(rule("get", "", "pods")), request("Role", "roles", wanted, **RBAC))
    assert text == (
        'roles.rbac.authorization.k8s.io "r" is forbidden: user "alice" (groups=["devs" "system:authenticated"]) is attempting to grant '
        'RBAC permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}'
    )
    run(grants(rule("get,delete", "", "pods")), request("Role", "roles", wanted, **RBAC))
    run(grants(rule("escalate", "rbac.authorization.k8s.io", "roles")), request("Role", "roles", wanted, **RBAC))
    changed = {**wanted, "metadata": {**wanted["metadata"], "finalizers": ["x"]}}
    run(grants(), request("Role", "roles", changed, old=wanted, operation="UPDATE", **RBAC))
    run(grants(), request("Role", "roles", wanted, user=User("root", ("system:masters",)), **RBAC))


def test_aggregating_roles_need_everything():
    """They may come to hold any rule."""
    wanted = {**role("r"), "aggregationRule": {"clusterRoleSelectors": []}}
    text = refusal(grants(), request("ClusterRole", "clusterroles", wanted, namespace="", **RBAC))
    assert text.endswith("must have cluster-admin privileges to use the aggregationRule")
    run(grants(rule("*", "*", "*"), rule("*", urls="*")), request("ClusterRole", "clusterroles", wanted, namespace="", **RBAC))


def test_bindings_need_the_rules_of_their_role_or_bind():
    """A role that is missing cannot be bound."""
    wanted = binding("b2", "ClusterRole", "power", {"kind": "User", "name": "eve"})
    write = request("ClusterRoleBinding", "clusterrolebindings", wanted, namespace="", **RBAC)
    assert "attempting to grant RBAC permissions not currently held" in refusal(grants(), write)
    run(grants(rule("bind", "rbac.authorization.k8s.io", "clusterroles", names="power")), write)
    missing = binding("b2", "ClusterRole", "nope")
    text = refusal(grants(), request("ClusterRoleBinding", "clusterrolebindings", missing, namespace="", **RBAC), 404)
    assert text == 'clusterroles.rbac.authorization.k8s.io "nope" not found'


# The set


def test_uncalled_policies_warn():
    """The object is written; the writer is told."""
    said: list[str] = []
    obj = {"metadata": {"name": "w"}}
    run(
        UncalledPolicies(),
        request("ValidatingWebhookConfiguration", "v", obj, group="admissionregistration.k8s.io", namespace="", warn=said.append),
    )
    assert len(said) == 1 and said[0].startswith("ValidatingWebhookConfiguration is stored, but this server does not call")


def test_plugins_are_ordered_and_switched_by_name():
    """ResourceQuota is last; rules of the storage cannot be switched off; every name in the lists is a plugin."""
    around = Surroundings(FakeCluster(), SetClock(), AlwaysAllow(), PolicyIndex(), tuple)
    names = [plugin.name for plugin in every_plugin(around)]
    assert names[-1] == "ResourceQuota" and set(names) == BUILT | {"RBACEscalation", "UncalledPolicies"}
    default = [plugin.name for plugin in plugins(around)]
    assert set(names) - set(default) == {"NodeRestriction", "StorageObjectInUseProtection"}
    some = [plugin.name for plugin in plugins(around, enable=["NodeRestriction"], disable=["ServiceAccount", "RBACEscalation"])]
    assert "NodeRestriction" in some and "ServiceAccount" not in some and "RBACEscalation" in some
    assert unknown_names(["Nonsense", "PodSecurity", "AlwaysPullImages"]) == ["Nonsense"]
