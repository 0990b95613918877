"""PyPI's `kubernetes`: generated APIs, watches, the informer and the leader election."""

from __future__ import annotations

import json
import threading
import time

import pytest

kubernetes = pytest.importorskip("kubernetes")

from kubernetes import client, watch  # noqa: E402
from kubernetes.client.exceptions import ApiException  # noqa: E402
from kubernetes.informer import SharedInformer  # noqa: E402
from kubernetes.leaderelection import electionconfig, leaderelection  # noqa: E402
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock  # noqa: E402

from tests.resource_api.clients.conftest import widgets  # noqa: E402

pytestmark = pytest.mark.slow

TIMEOUT_S = 60
CONTAINER = {"name": "main", "image": "app:1", "ports": [{"containerPort": 80}]}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [CONTAINER]}}
DEPLOYMENT = {
    "metadata": {"name": "web"},
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE},
}


@pytest.fixture(scope="module")
def api(cluster):
    """One client of the administrator's for the module."""
    with kubernetes.config.new_client_from_config(str(cluster.kubeconfig)) as api:
        yield api


@pytest.fixture(scope="module")
def core(api):
    """The core group."""
    return client.CoreV1Api(api)


@pytest.fixture(scope="module")
def apps(api):
    """The apps group."""
    return client.AppsV1Api(api)


@pytest.fixture(scope="module")
def widgets_api(api):
    """Custom objects, once their kind is served."""
    definitions = client.ApiextensionsV1Api(api)
    definitions.create_custom_resource_definition(widgets())
    established(definitions, "widgets.example.com")
    return client.CustomObjectsApi(api)


def established(definitions, name):
    """Returns once a watch has said so."""
    watcher = watch.Watch()
    for event in watcher.stream(
        definitions.list_custom_resource_definition, field_selector=f"metadata.name={name}", timeout_seconds=TIMEOUT_S
    ):
        conditions = {one.type: one.status for one in event["object"].status.conditions or ()}
        if conditions.get("Established") == "True":
            watcher.stop()
            return
    raise AssertionError(f"{name} was not established")


def failure(excinfo):
    """The Status of an ApiException."""
    return json.loads(excinfo.value.body)


def configmap(name, **data):
    """A ConfigMap as the client's own model, which leaves out what is None."""
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data=data)


def test_core_objects_live_through_create_read_replace_delete(core, namespace):
    """Models in, models out; an old version is a conflict, a name twice a conflict of another sort, none a 404."""
    made = core.create_namespaced_config_map(namespace, configmap("one", a="1"))
    assert (made.metadata.name, made.data, made.kind, made.api_version) == ("one", {"a": "1"}, "ConfigMap", "v1")
    made.data["a"] = "2"
    replaced = core.replace_namespaced_config_map("one", namespace, made)
    assert int(replaced.metadata.resource_version) > int(made.metadata.resource_version)
    with pytest.raises(ApiException) as stale:
        core.replace_namespaced_config_map("one", namespace, made)
    assert (stale.value.status, failure(stale)["reason"], failure(stale)["details"]) == (
        409,
        "Conflict",
        {"name": "one", "kind": "configmaps"},
    )
    with pytest.raises(ApiException) as twice:
        core.create_namespaced_config_map(namespace, configmap("one"))
    assert (twice.value.status, failure(twice)["reason"]) == (409, "AlreadyExists")
    assert failure(twice)["message"] == 'configmaps "one" already exists'
    answer = core.delete_namespaced_config_map("one", namespace)
    assert (answer["status"], answer["details"]["name"], answer["details"]["kind"]) == ("Success", "one", "configmaps")
    with pytest.raises(ApiException) as gone:
        core.read_namespaced_config_map("one", namespace)
    assert (gone.value.status, failure(gone)["message"]) == (404, 'configmaps "one" not found')


def test_invalid_objects_are_refused_with_causes(apps, core, namespace):
    """422 names every field; a name that may not be says why."""
    with pytest.raises(ApiException) as refused:
        apps.create_namespaced_deployment(
            namespace, {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "selector": {"matchLabels": {"app": "other"}}}}
        )
    status = failure(refused)
    assert (status["code"], status["reason"], status["details"]["kind"]) == (422, "Invalid", "Deployment")
    assert [(cause["reason"], cause["field"]) for cause in status["details"]["causes"]] == [
        ("FieldValueInvalid", "spec.template.metadata.labels"),
    ]
    with pytest.raises(ApiException) as named:
        core.create_namespaced_config_map(namespace, configmap("Not_A_Name"))
    assert (named.value.status, failure(named)["details"]["causes"][0]["field"]) == (422, "metadata.name")


def test_every_typed_workload_round_trips_through_the_models(api, apps, core, namespace):
    """What the server sets is read into the models: defaults, times, quantities, ports that are numbers or names."""
    made = apps.create_namespaced_deployment(namespace, DEPLOYMENT)
    assert (made.spec.strategy.type, made.spec.strategy.rolling_update.max_surge, made.metadata.generation) == ("RollingUpdate", "25%", 1)
    assert made.metadata.creation_timestamp.tzinfo is not None
    service = core.create_namespaced_service(
        namespace,
        client.V1Service(
            metadata=client.V1ObjectMeta(name="web"),
            spec=client.V1ServiceSpec(ports=[client.V1ServicePort(port=80)], selector={"app": "web"}),
        ),
    )
    assert (service.spec.ports[0].target_port, service.spec.type, service.spec.session_affinity) == (80, "ClusterIP", "None")
    assert service.spec.cluster_ip.startswith("10.")
    secret = core.create_namespaced_secret(
        namespace, client.V1Secret(metadata=client.V1ObjectMeta(generate_name="s-"), string_data={"k": "v"})
    )
    assert (secret.data, secret.type, len(secret.metadata.name)) == ({"k": "dg=="}, "Opaque", 7)
    job = client.BatchV1Api(api).create_namespaced_job(
        namespace, {"metadata": {"name": "once"}, "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}}}
    )
    assert job.spec.template.metadata.labels["batch.kubernetes.io/job-name"] == "once"
    scaler = client.AutoscalingV2Api(api).create_namespaced_horizontal_pod_autoscaler(
        namespace,
        {
            "metadata": {"name": "web"},
            "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
        },
    )
    assert scaler.spec.min_replicas == 1
    budget = client.PolicyV1Api(api).create_namespaced_pod_disruption_budget(
        namespace,
        client.V1PodDisruptionBudget(metadata=client.V1ObjectMeta(name="web"), spec=client.V1PodDisruptionBudgetSpec(min_available="50%")),
    )
    assert budget.spec.min_available == "50%"


def test_roles_and_bindings_decide_what_a_service_account_may(api, core, cluster, namespace):
    """A token of the TokenRequest API is a client; RBAC written by the typed API counts at once."""
    rbac = client.RbacAuthorizationV1Api(api)
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "robot"}})
    rule = client.V1PolicyRule(api_groups=[""], resources=["configmaps"], verbs=["get", "list"])
    rbac.create_namespaced_role(namespace, client.V1Role(metadata=client.V1ObjectMeta(name="reader"), rules=[rule]))
    rbac.create_namespaced_role_binding(
        namespace,
        client.V1RoleBinding(
            metadata=client.V1ObjectMeta(name="robot"),
            role_ref=client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="Role", name="reader"),
            subjects=[client.RbacV1Subject(kind="ServiceAccount", name="robot", namespace=namespace)],
        ),
    )
    request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600))
    token = core.create_namespaced_service_account_token("robot", namespace, request).status.token
    configuration = client.Configuration(host=api.configuration.host)
    configuration.ssl_ca_cert = api.configuration.ssl_ca_cert
    configuration.api_key = {"authorization": f"Bearer {token}"}
    with client.ApiClient(configuration) as robot_api:
        robot = client.CoreV1Api(robot_api)
        assert {one.metadata.name for one in robot.list_namespaced_config_map(namespace).items} <= {"kube-root-ca.crt"}
        with pytest.raises(ApiException) as refused:
            robot.list_namespaced_secret(namespace)
        assert (refused.value.status, failure(refused)["message"]) == (
            403,
            f'secrets is forbidden: User "system:serviceaccount:{namespace}:robot" cannot list resource "secrets" in API group ""'
            f' in the namespace "{namespace}"',
        )
    review = client.AuthorizationV1Api(api).create_self_subject_access_review(
        {"spec": {"resourceAttributes": {"namespace": namespace, "verb": "delete", "resource": "pods"}}}
    )
    assert review.status.allowed is True


def test_patches_of_three_kinds_and_apply(apps, namespace):
    """A dict is a strategic merge, a list a JSON patch; other types are asked for by `_content_type`; apply owns its fields."""
    apps.create_namespaced_deployment(namespace, DEPLOYMENT)
    strategic = apps.patch_namespaced_deployment(
        "web", namespace, {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}}
    )
    assert [one.name for one in strategic.spec.template.spec.containers] == ["side", "main"]
    patched = apps.patch_namespaced_deployment("web", namespace, [{"op": "replace", "path": "/spec/replicas", "value": 5}])
    assert patched.spec.replicas == 5
    merged = apps.patch_namespaced_deployment(
        "web", namespace, {"metadata": {"labels": {"a": "b"}}, "spec": {"minReadySeconds": 3}}, _content_type="application/merge-patch+json"
    )
    assert (merged.metadata.labels, merged.spec.min_ready_seconds) == ({"a": "b"}, 3)
    with pytest.raises(ApiException) as untrue:
        apps.patch_namespaced_deployment("web", namespace, [{"op": "test", "path": "/spec/replicas", "value": 1}])
    assert (untrue.value.status, failure(untrue)["reason"]) == (422, "Invalid")
    applied = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 7}}
    with pytest.raises(ApiException) as conflict:
        apps.patch_namespaced_deployment("web", namespace, applied, _content_type="application/apply-patch+yaml", field_manager="tester")
    assert conflict.value.status == 409
    assert [cause["field"] for cause in failure(conflict)["details"]["causes"]] == [".spec.replicas"]
    forced = apps.patch_namespaced_deployment(
        "web", namespace, applied, _content_type="application/apply-patch+yaml", field_manager="tester", force=True
    )
    assert forced.spec.replicas == 7
    assert ("tester", "Apply") in {(entry.manager, entry.operation) for entry in forced.metadata.managed_fields}


def test_lists_are_paged_selected_and_deleted_together(core, namespace):
    """limit and continue give every object once; a page says how many are left; a collection is deleted by a selector."""
    for number in range(7):
        core.create_namespaced_config_map(
            namespace, {"metadata": {"name": f"page-{number}", "labels": {"parity": "odd" if number % 2 else "even", "made-by": "test"}}}
        )
    names, token, remaining = [], None, []
    while True:
        page = core.list_namespaced_config_map(
            namespace, limit=3, _continue=token, field_selector="metadata.name!=kube-root-ca.crt", label_selector="made-by=test"
        )
        names += [one.metadata.name for one in page.items]
        remaining.append(page.metadata.remaining_item_count)
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"page-{number}" for number in range(7)]
    assert remaining == [None, None, None]
    assert core.list_namespaced_config_map(namespace, limit=3).metadata.remaining_item_count in (4, 5)
    with pytest.raises(ApiException) as refused:
        core.list_namespaced_config_map(namespace, label_selector="a in b")
    assert refused.value.status == 400
    core.delete_collection_namespaced_config_map(namespace, label_selector="parity in (odd)")
    assert [one.metadata.name for one in core.list_namespaced_config_map(namespace, label_selector="parity").items] == [
        f"page-{n}" for n in (0, 2, 4, 6)
    ]


def test_watch_gives_every_change_and_ends_at_its_timeout(core, namespace):
    """From the version of a list each change comes once, in order, as models; the stream ends cleanly; an old version is listed anew."""
    start = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.create_namespaced_config_map(namespace, configmap("w", a="1"))
    core.patch_namespaced_config_map("w", namespace, {"data": {"a": "2"}})
    core.delete_namespaced_config_map("w", namespace)
    stream, seen = watch.Watch(), []
    options = {"field_selector": "metadata.name=w", "resource_version": start, "_request_timeout": TIMEOUT_S}
    for event in stream.stream(core.list_namespaced_config_map, namespace, timeout_seconds=TIMEOUT_S, **options):
        seen.append((event["type"], event["object"].data))
        if len(seen) == 3:
            stream.stop()
    assert seen == [("ADDED", {"a": "1"}), ("MODIFIED", {"a": "2"}), ("DELETED", {"a": "2"})]
    options["resource_version"] = stream.resource_version
    assert list(watch.Watch().stream(core.list_namespaced_config_map, namespace, timeout_seconds=1, **options)) == []


def test_informer_follows_a_namespace(core, namespace):
    """Its cache is the collection, its handlers hear of every change."""
    changes, change = [], threading.Condition()
    core.create_namespaced_config_map(namespace, configmap("before"))
    informer = SharedInformer(
        core.list_namespaced_config_map, namespace=namespace, field_selector="metadata.name!=kube-root-ca.crt", resync_period=1
    )

    def note(kind):
        def handler(obj):
            with change:
                changes.append((kind, obj.metadata.name))
                change.notify_all()

        return handler

    def heard(what):
        with change:
            assert change.wait_for(lambda: what in changes, timeout=TIMEOUT_S), changes

    for kind in ("ADDED", "MODIFIED", "DELETED"):
        informer.add_event_handler(kind, note(kind))
    informer.start()
    try:
        heard(("ADDED", "before"))
        core.create_namespaced_config_map(namespace, configmap("during"))
        heard(("ADDED", "during"))
        core.patch_namespaced_config_map("during", namespace, {"data": {"k": "v"}})
        heard(("MODIFIED", "during"))
        assert informer.cache.get_by_key(f"{namespace}/during").data == {"k": "v"}
        core.delete_namespaced_config_map("before", namespace)
        heard(("DELETED", "before"))
        assert informer.cache.list_keys() == [f"{namespace}/during"]
    finally:
        informer.stop()


def test_custom_objects_live_through_all_verbs(widgets_api, namespace):
    """Dicts in, dicts out: defaults, status and scale apart, merge patches, 422 with the schema's words, deletion by collection."""
    where = ("example.com", "v1", namespace, "widgets")
    made = widgets_api.create_namespaced_custom_object(
        *where, {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {}}
    )
    assert (made["spec"], made["metadata"]["generation"]) == ({"size": 1}, 1)
    changed = widgets_api.patch_namespaced_custom_object(*where, "w", {"spec": {"color": "red"}, "status": {"size": 9}})
    assert (changed["spec"], "status" in changed, changed["metadata"]["generation"]) == ({"size": 1, "color": "red"}, False, 2)
    status = widgets_api.patch_namespaced_custom_object_status(*where, "w", {"status": {"size": 1, "selector": "a=b"}, "spec": {"size": 8}})
    assert (status["status"], status["spec"]["size"], status["metadata"]["generation"]) == ({"size": 1, "selector": "a=b"}, 1, 2)
    scale = widgets_api.get_namespaced_custom_object_scale(*where, "w")
    assert (scale["kind"], scale["spec"], scale["status"]) == ("Scale", {"replicas": 1}, {"replicas": 1, "selector": "a=b"})
    widgets_api.patch_namespaced_custom_object_scale(*where, "w", {"spec": {"replicas": 4}})
    assert widgets_api.get_namespaced_custom_object(*where, "w")["spec"]["size"] == 4
    with pytest.raises(ApiException) as refused:
        widgets_api.patch_namespaced_custom_object(*where, "w", {"spec": {"color": "mauve"}})
    assert refused.value.status == 422
    assert (
        failure(refused)["message"]
        == 'Widget.example.com "w" is invalid: spec.color: Unsupported value: "mauve": supported values: "red", "green", "blue"'
    )
    listed = widgets_api.list_namespaced_custom_object(*where)
    assert (listed["kind"], [one["kind"] for one in listed["items"]]) == ("WidgetList", ["Widget"])
    widgets_api.delete_collection_namespaced_custom_object(*where)
    assert widgets_api.list_namespaced_custom_object(*where)["items"] == []


def test_scale_token_eviction_and_binding_have_their_own_endpoints(apps, core, namespace):
    """Bodies without kind and apiVersion are taken."""
    apps.create_namespaced_deployment(namespace, DEPLOYMENT)
    scale = apps.read_namespaced_deployment_scale("web", namespace)
    assert (scale.spec.replicas, scale.status.selector) == (2, "app=web")
    scale.spec.replicas = 6
    assert apps.replace_namespaced_deployment_scale("web", namespace, scale).spec.replicas == 6
    core.create_namespaced_pod(namespace, {"metadata": {"name": "p"}, "spec": {"containers": [CONTAINER]}})
    bound = client.V1Binding(metadata=client.V1ObjectMeta(name="p"), target=client.V1ObjectReference(kind="Node", name="n1"))
    answer = core.create_namespaced_pod_binding("p", namespace, bound, _preload_content=False)
    assert answer.json()["status"] == "Success"  # The library cannot make a Binding of the Status it is answered.
    with pytest.raises(ApiException) as twice:
        core.create_namespaced_pod_binding("p", namespace, bound)
    assert failure(twice)["message"] == 'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"'
    pod = core.read_namespaced_pod("p", namespace)
    assert (pod.spec.node_name, [(one.type, one.status) for one in pod.status.conditions]) == ("n1", [("PodScheduled", "True")])
    core.patch_namespaced_pod_status("p", namespace, {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
    assert core.read_namespaced_pod_status("p", namespace).status.phase == "Running"
    core.create_namespaced_pod_eviction("p", namespace, client.V1Eviction(metadata=client.V1ObjectMeta(name="p")))
    assert core.read_namespaced_pod("p", namespace).metadata.deletion_timestamp is not None
    core.delete_namespaced_pod("p", namespace, grace_period_seconds=0)
    with pytest.raises(ApiException) as gone:
        core.read_namespaced_pod("p", namespace)
    assert gone.value.status == 404


def test_leader_election_hands_over_when_the_lease_is_taken(api, core, namespace, monkeypatch):
    """One of two leads; who finds another holder stops leading; the other leads once the lease has run out."""
    monkeypatch.setattr(client.Configuration, "_default", api.configuration)
    leading, stopped, threads = [], [], []

    def candidate(name):
        config = electionconfig.Config(
            LeaseLock("lock", namespace, name),
            lease_duration=3,
            renew_deadline=2,
            retry_period=1,
            onstarted_leading=lambda: leading.append(name),
            onstopped_leading=lambda: stopped.append(name),
        )
        thread = threading.Thread(target=leaderelection.LeaderElection(config).run, daemon=True)
        threads.append(thread)
        thread.start()

    leases = client.CoordinationV1Api(api)

    def take(holder):
        """Another holder, whom nobody knows, has the lease from now on."""
        while True:
            lease = leases.read_namespaced_lease("lock", namespace)
            lease.spec.holder_identity = holder
            try:
                return leases.replace_namespaced_lease("lock", namespace, lease)
            except ApiException as error:
                assert error.status == 409, error

    candidate("first")
    # Who cannot renew in time on a busy machine stops leading, too: no more is waited for than what has to come.
    wait_until(lambda: leading == ["first"])
    candidate("second")
    take("nobody")
    wait_until(lambda: "first" in stopped)
    wait_until(lambda: leading == ["first", "second"])
    take("nobody")
    wait_until(lambda: "second" in stopped)
    assert stopped == ["first", "second"]
    for thread in threads:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()


def wait_until(condition):
    """Asks again every 50 ms."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
