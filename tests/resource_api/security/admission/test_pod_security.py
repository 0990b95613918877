"""PodSecurity: the standards, the labels, the warnings."""

from __future__ import annotations

from typing import Any

import pytest

from resource_api.errors import Object
from resource_api.security.admission.pod_security import PodSecurity
from resource_api.security.admission.pod_security_standards import LATEST_MINOR, RULES, checks_of, violations
from tests.resource_api.security.admission.test_small_plugins import refusal, run
from tests.resource_api.security.cluster import FakeCluster, request

RESTRICTED: Object = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [{"name": "a", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}],
}


def a(**context: Any) -> Object:
    return {"containers": [{"name": "a", "securityContext": context}]}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (a(privileged=True), 'privileged (container "a" must not set securityContext.privileged=true)'),
        ({"hostNetwork": True, "hostIPC": True}, "host namespaces (hostNetwork=true, hostIPC=true)"),
        ({"volumes": [{"name": "v", "hostPath": {}}, {"name": "w", "hostPath": {}}]}, 'hostPath volumes (volumes "v", "w")'),
        ({"containers": [{"name": "a", "ports": [{"hostPort": 80}, {"hostPort": 443}]}]},
         'hostPort (container "a" uses hostPorts 443, 80)'),
        ({"containers": [{"name": "a", "livenessProbe": {"httpGet": {"host": "x"}}}]},
         'probe or lifecycle host (container "a" uses probe or lifecycle host "x")'),
        (a(capabilities={"add": ["NET_ADMIN", "CHOWN"]}),
         'non-default capabilities (container "a" must not include "NET_ADMIN" in securityContext.capabilities.add)'),
        (a(procMount="Unmasked"), 'procMount (container "a" must not set securityContext.procMount to "Unmasked")'),
        ({"hostUsers": False, **a(procMount="Unmasked")}, None),
        ({"securityContext": {"seLinuxOptions": {"type": "spc_t", "user": "u"}}, **a(seLinuxOptions={"role": "r"})},
         'seLinuxOptions (pod and container "a" set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set; '
         "role may not be set)"),
        (a(seLinuxOptions={"type": "container_t"}), None),
        ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
         'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")'),
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax"}, {"name": "net.ipv4.tcp_syncookies"}]}},
         "forbidden sysctls (kernel.msgmax)"),
        (a(appArmorProfile={"type": "Unconfined"}),
         'forbidden AppArmor profile (container "a" must not set AppArmor profile type to "Unconfined")'),
        (a(windowsOptions={"hostProcess": True}),
         'hostProcess (container "a" must not set securityContext.windowsOptions.hostProcess=true)'),
        (a(), None),
    ],
)  # fmt: skip
def test_baseline_checks_say_what_upstream_says(spec, text):
    """Each rule alone; what is fine says nothing."""
    assert [str(one) for one in violations("baseline", "latest", {}, spec)] == ([text] if text else [])
    assert violations("privileged", "latest", {}, spec) == []


def test_apparmor_annotations_count():
    """The old way to choose a profile."""
    metadata = {"annotations": {"container.apparmor.security.beta.kubernetes.io/a": "unconfined", "x": "y"}}
    (found,) = violations("baseline", "latest", metadata, {})
    assert found.reason == "forbidden AppArmor profile" and '="unconfined"' in found.detail


def changed(*, pod: Any = None, container: Any = None, **spec: Any) -> Object:
    own = {**RESTRICTED["containers"][0]["securityContext"], **(container or {})}
    return {
        "securityContext": {**RESTRICTED["securityContext"], **(pod or {})},
        "containers": [{"name": "a", "securityContext": own}],
        **spec,
    }


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (RESTRICTED, None),
        (changed(container={"allowPrivilegeEscalation": None}),
         'allowPrivilegeEscalation != false (container "a" must set securityContext.allowPrivilegeEscalation=false)'),
        (changed(container={"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}),
         'unrestricted capabilities (container "a" must not include "CHOWN" in securityContext.capabilities.add)'),
        (changed(container={"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}), None),
        (changed(container={"capabilities": {}}),
         'unrestricted capabilities (container "a" must set securityContext.capabilities.drop=["ALL"])'),
        (changed(volumes=[{"name": "v", "nfs": {}}, {"name": "w", "emptyDir": {}}]),
         'restricted volume types (volume "v" uses restricted volume type "nfs")'),
        (changed(pod={"runAsNonRoot": None}), 'runAsNonRoot != true (pod or container "a" must set securityContext.runAsNonRoot=true)'),
        (changed(pod={"runAsNonRoot": None}, container={"runAsNonRoot": True}), None),
        (changed(container={"runAsNonRoot": False}),
         'runAsNonRoot != true (container "a" must not set securityContext.runAsNonRoot=false)'),
        (changed(pod={"runAsNonRoot": False}, container={"runAsNonRoot": True}),
         "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)"),
        (changed(pod={"runAsUser": 0}), "runAsUser=0 (pod must not set runAsUser=0)"),
        (changed(pod={"runAsUser": 0, "runAsNonRoot": False}, hostUsers=False), None),
        (changed(pod={"seccompProfile": None}),
         'seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'),
        (changed(container={"seccompProfile": {"type": "Unconfined"}}),
         'seccompProfile (container "a" must not set securityContext.seccompProfile.type to "Unconfined")'),
    ],
)  # fmt: skip
def test_restricted_checks_say_what_upstream_says(spec, text):
    """Each rule alone, over a pod that is fine otherwise."""
    assert [str(one) for one in violations("restricted", "latest", {}, spec)] == ([text] if text else [])


def cluster(**labels: str) -> FakeCluster:
    named = {"pod-security.kubernetes.io/" + name.replace("_", "-"): value for name, value in labels.items()}
    return FakeCluster({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "labels": named}})


def pod(spec: Object) -> Object:
    return {"metadata": {"name": "p"}, "spec": spec}


def test_enforced_level_refuses_with_all_reasons_in_order():
    """What a plain pod is told at restricted."""
    plugin = PodSecurity(cluster(enforce="restricted", enforce_version="v1.30"))
    assert refusal(plugin, request("Pod", "pods", pod({"containers": [{"name": "a"}]}))) == (
        'pods "p" is forbidden: violates PodSecurity "restricted:v1.30": allowPrivilegeEscalation != false (container "a" must set '
        'securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "a" must set '
        'securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "a" must set '
        'securityContext.runAsNonRoot=true), seccompProfile (pod or container "a" must set securityContext.seccompProfile.type to '
        '"RuntimeDefault" or "Localhost")'
    )
    run(plugin, request("Pod", "pods", pod(RESTRICTED)))
    run(PodSecurity(cluster()), request("Pod", "pods", pod(a(privileged=True))))


def test_changes_that_no_check_reads_are_not_checked():
    """Labels of a pod that was there before the level may be changed; its containers may not."""
    plugin = PodSecurity(cluster(enforce="baseline"))
    old = pod(a(privileged=True))
    labeled = {"metadata": {"name": "p", "labels": {"x": "y"}}, "spec": {**old["spec"], "tolerations": [{}]}}
    run(plugin, request("Pod", "pods", labeled, old=old, operation="UPDATE"))
    refusal(plugin, request("Pod", "pods", pod({**old["spec"], "hostPID": True}), old=old, operation="UPDATE"))


def test_warnings_for_pods_and_for_what_makes_them():
    """Templates are never refused."""
    said: list[str] = []
    spec = a(privileged=True)
    run(PodSecurity(cluster(warn="baseline")), request("Pod", "pods", pod(spec), warn=said.append))
    text = 'would violate PodSecurity "baseline:latest": privileged (container "a" must not set securityContext.privileged=true)'
    assert said == [text]
    deployment: Object = {"metadata": {"name": "d"}, "spec": {"template": {"spec": spec}}}
    write = request("Deployment", "deployments", deployment, group="apps", warn=said.append)
    run(PodSecurity(cluster(enforce="baseline")), write)
    assert said == [text, text]
    cron_job: Object = {"metadata": {"name": "d"}, "spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}}
    run(PodSecurity(cluster(warn="baseline")), request("CronJob", "cronjobs", cron_job, group="batch", warn=said.append))
    assert said == [text, text, text]


def namespace(**labels: str) -> Object:
    found = cluster(**labels).find("", "namespaces").objects["", "default"]
    return dict(found)


def test_labels_of_namespaces_must_mean_something():
    """422 for a level or version nobody knows; what was wrong before may stay."""
    plugin = PodSecurity(FakeCluster())
    text = refusal(plugin, request("Namespace", "namespaces", namespace(enforce="strict"), namespace=""), 422)
    assert text == (
        'Namespace "default" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": '
        "must be one of privileged, baseline, restricted"
    )
    assert 'must be "latest" or "v1.x"' in refusal(
        plugin, request("Namespace", "namespaces", namespace(warn_version="1.2"), namespace=""), 422
    )
    wrong = namespace(enforce="strict")
    run(plugin, request("Namespace", "namespaces", {**wrong, "x": 1}, old=wrong, operation="UPDATE", namespace=""))


def test_a_new_level_tells_which_pods_break_it():
    """Pods with the same reasons share a line."""
    found = FakeCluster()
    for name in ("p1", "p2"):
        found.add({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": a(privileged=True)})
    said: list[str] = []
    run(
        PodSecurity(found),
        request(
            "Namespace", "namespaces", namespace(enforce="baseline"), old=namespace(), operation="UPDATE", namespace="", warn=said.append
        ),
    )
    assert said == [
        'existing pods in namespace "default" violate the new PodSecurity enforce level "baseline:latest"',
        "p1 (and 1 other pod): privileged",
    ]


def sysctl(name: str) -> Object:
    return {"securityContext": {"sysctls": [{"name": name}]}}


WINDOWS: Object = {"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": True}, "containers": [{"name": "a"}]}
OWN_USERS: Object = {"hostUsers": False, **RESTRICTED, "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, "runAsUser": 0}}
UNMASKED: Object = {"hostUsers": False, **a(procMount="Unmasked")}
PROBED: Object = {"containers": [{"name": "a", "livenessProbe": {"tcpSocket": {"host": "x"}}}]}
BARE: Object = {"securityContext": {"runAsNonRoot": True}, "containers": [{"name": "a"}]}
ESCALATION, CAPABILITIES, SECCOMP = "allowPrivilegeEscalation != false", "unrestricted capabilities", "seccompProfile"


@pytest.mark.parametrize(
    ("level", "version", "spec", "reasons"),
    [
        ("baseline", "v1.26", sysctl("net.ipv4.ip_local_reserved_ports"), ["forbidden sysctls"]),
        ("baseline", "v1.27", sysctl("net.ipv4.ip_local_reserved_ports"), []),
        ("baseline", "v1.28", sysctl("net.ipv4.tcp_fin_timeout"), ["forbidden sysctls"]),
        ("baseline", "v1.29", sysctl("net.ipv4.tcp_fin_timeout"), []),
        ("baseline", "v1.31", sysctl("net.ipv4.tcp_rmem"), ["forbidden sysctls"]),
        ("baseline", "v1.32", sysctl("net.ipv4.tcp_rmem"), []),
        ("baseline", "v1.36", sysctl("net.ipv4.tcp_notsent_lowat"), ["forbidden sysctls"]),
        ("baseline", "v1.37", sysctl("net.ipv4.tcp_notsent_lowat"), []),
        ("baseline", "v1.99", sysctl("net.ipv4.tcp_notsent_lowat"), []),
        ("baseline", "latest", sysctl("net.ipv4.tcp_notsent_lowat"), []),
        ("baseline", "v1.30", a(seLinuxOptions={"type": "container_engine_t"}), ["seLinuxOptions"]),
        ("baseline", "v1.31", a(seLinuxOptions={"type": "container_engine_t"}), []),
        ("baseline", "v1.33", PROBED, []),
        ("baseline", "v1.34", PROBED, ["probe or lifecycle host"]),
        ("baseline", "v1.34", UNMASKED, ["procMount"]),
        ("baseline", "v1.35", UNMASKED, []),
        ("baseline", "v1.18", a(seccompProfile={"type": "Unconfined"}), []),
        ("baseline", "v1.19", a(seccompProfile={"type": "Unconfined"}), [SECCOMP]),
        ("restricted", "v1.7", BARE, []),
        ("restricted", "v1.8", BARE, [ESCALATION]),
        ("restricted", "v1.18", BARE, [ESCALATION]),
        ("restricted", "v1.19", BARE, [ESCALATION, SECCOMP]),
        ("restricted", "v1.21", a(capabilities={"add": ["NET_ADMIN"]}),)
        + (["non-default capabilities", ESCALATION, "runAsNonRoot != true", SECCOMP],),
        ("restricted", "v1.22", BARE, [ESCALATION, CAPABILITIES, SECCOMP]),
        ("restricted", "v1.24", WINDOWS, [ESCALATION, CAPABILITIES, SECCOMP]),
        ("restricted", "v1.25", WINDOWS, []),
        ("restricted", "v1.22", {**RESTRICTED, "securityContext": {**RESTRICTED["securityContext"], "runAsUser": 0}}, []),
        ("restricted", "v1.23", {**RESTRICTED, "securityContext": {**RESTRICTED["securityContext"], "runAsUser": 0}}, ["runAsUser=0"]),
        ("restricted", "v1.34", OWN_USERS, ["runAsNonRoot != true", "runAsUser=0"]),
        ("restricted", "v1.35", OWN_USERS, []),
        ("restricted", "v1.35", {**RESTRICTED, **UNMASKED}, [ESCALATION, CAPABILITIES, "procMount"]),
        ("restricted", "v1.0", {"volumes": [{"name": "v", "hostPath": {}}], **BARE}, ["restricted volume types"]),
    ],
)  # fmt: skip
def test_version_of_a_standard_keeps_its_rules(level, version, spec, reasons):
    """What came or was relaxed later does not hold for a namespace that pinned an earlier version; order is upstream's."""
    assert [one.reason for one in violations(level, version, {}, spec)] == reasons


def test_annotations_that_were_before_fields_count_before_1_19():
    """Of the pod and of its containers."""
    annotations = {
        "seccomp.security.alpha.kubernetes.io/pod": "unconfined",
        "container.seccomp.security.alpha.kubernetes.io/a": "unconfined",
    }
    (found,) = violations("baseline", "v1.18", {"annotations": annotations}, a())
    assert str(found) == (
        'seccompProfile (forbidden annotations container.seccomp.security.alpha.kubernetes.io/a="unconfined", '
        'seccomp.security.alpha.kubernetes.io/pod="unconfined")'
    )
    fine = {"seccomp.security.alpha.kubernetes.io/pod": "localhost/x", "container.seccomp.security.alpha.kubernetes.io/a": "docker/default"}
    assert violations("baseline", "v1.18", {"annotations": fine}, a()) == []
    assert violations("baseline", "v1.19", {"annotations": annotations}, a()) == []


def test_every_version_of_a_standard_is_at_least_baseline():
    """Restricted has every rule of baseline, or what replaces it; rules change in order and none is lost."""
    for minor in range(LATEST_MINOR + 2):
        baseline, restricted = checks_of("baseline", minor), checks_of("restricted", minor)
        assert len(restricted) >= len(baseline)
    for rule in RULES:
        assert [since for since, _ in rule.versions] == sorted({since for since, _ in rule.versions})
        assert max(since for since, _ in rule.versions) <= LATEST_MINOR


def test_namespace_that_pins_a_version_is_held_to_it():
    """And its refusal names the version."""
    write = request("Pod", "pods", pod(sysctl("net.ipv4.tcp_rmem")))
    text = refusal(PodSecurity(cluster(enforce="baseline", enforce_version="v1.31")), write)
    assert 'violates PodSecurity "baseline:v1.31": forbidden sysctls (net.ipv4.tcp_rmem)' in text
    run(PodSecurity(cluster(enforce="baseline", enforce_version="v1.32")), write)
