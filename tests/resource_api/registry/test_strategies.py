"""What each endpoint may change, when generations rise, and what the server writes itself."""

from __future__ import annotations

import copy

import pytest

from resource_api.errors import Object
from resource_api.registry.requests import DeleteOptions
from tests.resource_api.registry.builtins import CONTEXT, NOW, UID, faults, merged, model_of, object_of, prepared, updated


def stored(kind: str, change: object = None) -> Object:
    """One that was created."""
    return prepared(merged(object_of(kind), change or {}))


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController"])
def test_generation_rises_with_the_spec_alone(kind: str) -> None:
    """Neither labels nor status count, and a client cannot set it."""
    old = stored(kind)
    assert old["metadata"]["generation"] == 1
    assert updated(old, {"metadata": {"labels": {"a": "b"}, "generation": 7}})[0]["metadata"]["generation"] == 1
    assert updated(old, {"spec": {"minReadySeconds": 5}, "metadata": {"generation": 7}})[0]["metadata"]["generation"] == 2
    by_status, _ = updated(old, {"status": {"observedGeneration": 1}, "spec": {"minReadySeconds": 9}}, "status")
    assert by_status["metadata"]["generation"] == 1


def test_status_is_kept_by_the_main_endpoint_and_the_rest_by_the_status_endpoint() -> None:
    """The split of spec B.12."""
    old = stored("Deployment")
    new, problems = updated(old, {"status": {"replicas": 5}, "spec": {"replicas": 3}})
    assert (new["status"], new["spec"]["replicas"], problems) == ({}, 3, [])
    new, problems = updated(old, {"status": {"replicas": 5}, "spec": {"replicas": 3}}, "status")
    assert (new["status"], new["spec"]["replicas"], problems) == ({"replicas": 5}, 1, [])


def test_new_object_brings_no_status_but_a_node_does() -> None:
    """A status is a controller's to write."""
    assert stored("Deployment", {"status": {"replicas": 9}})["status"] == {}
    assert stored("Node", {"status": {"phase": "Running"}})["status"]["allocatable"] == {"cpu": "4", "memory": "8Gi"}


@pytest.mark.parametrize(
    ("kind", "change", "problem"),
    [
        ("Deployment", {"spec": {"selector": {"matchLabels": {"app": "x"}}, "template": {"metadata": {"labels": {"app": "x"}}}}},
         'spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: field is immutable'),
        ("StatefulSet", {"spec": {"serviceName": "other"}},
         "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
         "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"),
        ("Job", {"spec": {"completions": 2}}, "spec.completions: Invalid value: 2: field is immutable"),
        ("Service", {"spec": {"clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"]}},
         'spec.clusterIPs[0]: Invalid value: ["10.0.0.9"]: may not change once set'),
        ("Secret", {"type": "other"}, 'type: Invalid value: "other": field is immutable'),
        ("RoleBinding", {"roleRef": {"name": "other"}},
         'roleRef: Invalid value: {"kind":"Role","name":"other","apiGroup":"rbac.authorization.k8s.io"}: cannot change roleRef'),
        ("StorageClass", {"provisioner": "a/b"}, "provisioner: Forbidden: updates to provisioner are forbidden."),
        ("PersistentVolume", {"spec": {"hostPath": {"path": "/y"}}},
         "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"),
        ("PersistentVolumeClaim", {"spec": {"accessModes": ["ReadOnlyMany"]}},
         "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"),
        ("PriorityClass", {"value": 5}, "value: Forbidden: may not be changed in an update."),
        ("ControllerRevision", {"data": {"a": 2}}, 'data: Invalid value: {"a":2}: field is immutable'),
        ("RuntimeClass", {"handler": "other"}, 'handler: Invalid value: "other": field is immutable'),
        ("EndpointSlice", {"addressType": "FQDN", "endpoints": []}, 'addressType: Invalid value: "FQDN": field is immutable'),
    ],
)  # fmt: skip
def test_immutable_field_is_refused(kind: str, change: Object, problem: str) -> None:
    """One sentence each, upstream's."""
    extra = {"spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}} if kind == "Service" else {}
    assert updated(stored(kind, extra), change)[1] == [problem]


def test_config_map_marked_immutable_stays_as_it_is() -> None:
    """Neither its data nor the mark."""
    old = stored("ConfigMap", {"immutable": True})
    said = "Forbidden: field is immutable when `immutable` is set"
    assert updated(old, {"data": {"a": "c"}, "immutable": None})[1] == [f"immutable: {said}", f"data: {said}"]
    assert updated(old, {"metadata": {"labels": {"a": "b"}}})[1] == []


def test_secret_texts_are_stored_encoded() -> None:
    """`stringData` is for writing only."""
    secret = stored("Secret", {"data": {"a": "eA==", "b": "eQ=="}})
    assert secret["data"] == {"a": "Yg==", "b": "eQ=="}
    assert "stringData" not in secret


def test_job_selects_its_pods_by_its_own_uid() -> None:
    """Selector and labels are the server's, unless `manualSelector`."""
    job = stored("Job")
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": UID}}
    assert job["spec"]["template"]["metadata"]["labels"] == {
        "job-name": "once",
        "batch.kubernetes.io/job-name": "once",
        "controller-uid": UID,
        "batch.kubernetes.io/controller-uid": UID,
    }
    by_hand = stored(
        "Job", {"spec": {"manualSelector": True, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}}}}
    )
    assert by_hand["spec"]["selector"] == {"matchLabels": {"a": "b"}}
    assert faults(by_hand) == []


def test_daemon_set_counts_its_templates() -> None:
    """In the annotation old releases read."""
    old = stored("DaemonSet")
    name = "deprecated.daemonset.template.generation"
    assert old["metadata"]["annotations"][name] == "1"
    assert updated(old, {"spec": {"minReadySeconds": 1}})[0]["metadata"]["annotations"][name] == "1"
    new = updated(old, {"spec": {"template": {"metadata": {"labels": {"more": "x"}}}}})[0]
    assert new["metadata"]["annotations"][name] == "2"


def test_namespace_is_held_by_its_own_finalizer() -> None:
    """Spec B.4: only `finalize` takes it away."""
    old = stored("Namespace")
    strategy = model_of(old).strategy
    assert (old["spec"], old["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
    assert old["metadata"]["labels"] == {"kubernetes.io/metadata.name": "team"}
    assert updated(old, {"spec": {"finalizers": []}})[0]["spec"] == {"finalizers": ["kubernetes"]}
    assert updated(old, {"metadata": {"labels": None}})[0]["metadata"]["labels"] == {"kubernetes.io/metadata.name": "team"}
    new = updated(old, {"spec": {"finalizers": []}, "status": {"phase": "Gone"}}, "finalize")[0]
    assert (new["spec"], new["status"]) == ({}, {"phase": "Active"})
    strategy.on_marked(old)
    assert (old["status"], strategy.finalizers(old)) == ({"phase": "Terminating"}, ["kubernetes"])


def test_pod_update_changes_images_and_little_else() -> None:
    """Upstream's sentence names what may change."""
    old = stored("Pod")
    assert updated(old, {"spec": {"containers": [{**old["spec"]["containers"][0], "image": "nginx:2"}]}})[1] == []
    assert updated(old, {"spec": {"tolerations": [{"key": "a", "operator": "Exists"}], "activeDeadlineSeconds": 5}})[1] == []
    assert updated(old, {"spec": {"containers": [*old["spec"]["containers"], {"name": "b", "image": "c"}]}})[1] == [
        "spec.containers: Forbidden: pod updates may not add or remove containers"
    ]
    assert updated(old, {"spec": {"nodeName": "n"}})[1] == [
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
        "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
        "(allow it to be set to 1 if it was previously negative)"
    ]


def test_pod_subresources_write_only_their_part() -> None:
    """`ephemeralcontainers` adds, `resize` sizes, neither does anything else."""
    old = stored("Pod", {"spec": {"containers": [{"name": "web", "image": "nginx", "resources": {"requests": {"cpu": "1"}}}]}})
    shell = {"name": "shell", "image": "busybox"}
    new, problems = updated(old, {"spec": {"nodeName": "n", "ephemeralContainers": [shell]}}, "ephemeralcontainers")
    assert (problems, new["spec"].get("nodeName"), new["spec"]["ephemeralContainers"][0]["name"]) == ([], None, "shell")
    assert updated(new, {"spec": {"ephemeralContainers": [{**shell, "image": "x"}]}}, "ephemeralcontainers")[1] == [
        'spec.ephemeralContainers: Forbidden: existing ephemeral containers "shell" may not be changed\n'
    ]
    bigger = {"name": "web", "image": "other", "resources": {"requests": {"cpu": "2"}}}
    new, problems = updated(old, {"spec": {"containers": [bigger]}}, "resize")
    assert (problems, new["spec"]["containers"][0]["image"]) == ([], "nginx")
    assert (new["spec"]["containers"][0]["resources"], new["metadata"]["generation"]) == ({"requests": {"cpu": "2"}}, 2)
    limited = {"name": "web", "resources": {"requests": {"cpu": "1", "memory": "1"}, "limits": {"cpu": "1", "memory": "1"}}}
    assert updated(old, {"spec": {"containers": [limited]}}, "resize")[1] == [
        'spec: Invalid value: "Guaranteed": Pod QOS Class may not change as a result of resizing'
    ]


def test_pod_binding_gives_the_pod_its_node() -> None:
    """What is fixed for everybody else is the scheduler's to write."""
    old = stored("Pod", {"spec": {"containers": [{"name": "web", "image": "nginx"}]}})
    bound = {"spec": {"nodeName": "n"}, "status": {"conditions": [{"type": "PodScheduled", "status": "True"}]}}
    new, problems = updated(old, bound, "binding")
    assert (problems, new["spec"]["nodeName"], new["status"]["conditions"]) == ([], "n", bound["status"]["conditions"])


@pytest.mark.parametrize(
    ("asked_s", "pod", "grace_s"),
    [
        (None, {}, 0),
        (None, {"spec": {"nodeName": "n"}}, 30),
        (5, {"spec": {"nodeName": "n"}}, 5),
        (-1, {"spec": {"nodeName": "n"}}, 1),
        (0, {"spec": {"nodeName": "n"}}, 0),
        (None, {"spec": {"nodeName": "n"}, "status": {"phase": "Succeeded"}}, 0),
    ],
)
def test_pod_is_given_time_only_where_it_runs(asked_s: int | None, pod: Object, grace_s: int) -> None:
    """Spec B.5."""
    obj = merged(stored("Pod"), pod)
    assert model_of(obj).strategy.grace_period_s(obj, DeleteOptions(grace_period_s=asked_s)) == grace_s


def test_service_keeps_what_it_was_given_until_its_type_needs_none() -> None:
    """Clients send manifests without addresses and ports, again and again."""
    given = {
        "type": "NodePort",
        "clusterIP": "10.0.0.1",
        "clusterIPs": ["10.0.0.1"],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "ports": [{"port": 80, "nodePort": 30080}],
    }
    old = stored("Service", {"spec": given})
    manifest = merged(object_of("Service"), {"metadata": old["metadata"], "spec": {"type": "NodePort"}})
    model = model_of(old)
    new = copy.deepcopy(manifest)
    model.default(new)
    model.strategy.prepare_update(CONTEXT, new, old)
    assert (new["spec"]["clusterIPs"], new["spec"]["ports"][0]["nodePort"]) == (["10.0.0.1"], 30080)
    new, problems = updated(old, {"spec": {"type": "ClusterIP"}})
    assert (problems, "nodePort" in new["spec"]["ports"][0], "externalTrafficPolicy" in new["spec"]) == ([], False, False)
    new, problems = updated(old, {"spec": {"type": "ExternalName", "externalName": "a.b"}})
    assert (problems, "clusterIP" in new["spec"], "clusterIPs" in new["spec"]) == ([], False, False)


def test_signing_request_names_who_asked_and_is_decided_once() -> None:
    """Spec B.12: approval touches its conditions alone, and they stay."""
    old = stored("CertificateSigningRequest", {"spec": {"username": "somebody else"}})
    assert (old["spec"]["username"], old["spec"]["groups"], old["spec"]["extra"]) == ("jane", ["devs"], {"team": ["a"]})
    approved = {"type": "Approved", "status": "True"}
    new, problems = updated(old, {"status": {"certificate": "YQ==", "conditions": [approved]}}, "approval")
    assert (problems, new["status"]) == ([], {"conditions": [approved]})
    assert updated(new, {"status": {"conditions": []}}, "approval")[1] == [
        'status.conditions: Forbidden: updates may not remove a condition of type "Approved"'
    ]
    assert updated(new, {"status": {"conditions": [approved, {"type": "Denied", "status": "True"}]}}, "approval")[1] == [
        'status.conditions[1].type: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive'
    ]
    issued = updated(new, {"status": {"certificate": "YQ==", "conditions": []}}, "status")[0]
    assert issued["status"] == {"certificate": "YQ==", "conditions": [approved]}


def test_finalizer_of_nobody_is_warned_of_once() -> None:
    """Upstream's warning, for new ones only."""
    obj = stored("ConfigMap", {"metadata": {"finalizers": ["mine", "example.com/x"]}})
    strategy = model_of(obj).strategy
    assert [text.partition(":")[0] for text in strategy.warnings(obj, None)] == ["metadata.finalizers"]
    assert strategy.warnings(obj, obj) == []


def test_volume_says_since_when_it_is_in_its_phase() -> None:
    """The server stamps a new phase, unless the client says itself when it began."""
    old = stored("PersistentVolume")
    assert old["status"] == {"phase": "Pending", "lastPhaseTransitionTime": NOW}
    old["status"]["lastPhaseTransitionTime"] = "2026-01-01T00:00:00Z"
    same = {**old["status"], "reason": "x"}
    assert updated(old, {"status": same}, "status")[0]["status"] == same
    assert updated(old, {"status": {**old["status"], "phase": "Bound"}}, "status")[0]["status"] == {
        "phase": "Bound",
        "lastPhaseTransitionTime": NOW,
    }
