"""A kopf operator as a process of its own: handlers, finalizers and status, over restarts of the operator and of the server."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time

import pytest

kopf = pytest.importorskip("kopf")
kubernetes = pytest.importorskip("kubernetes")

from kubernetes import client  # noqa: E402
from kubernetes.client.exceptions import ApiException  # noqa: E402

from tests.resource_api.clients.conftest import widgets  # noqa: E402
from tests.resource_api.clients.test_kubernetes_typed import established  # noqa: E402
from tests.resource_api.kubectl.session import Cluster  # noqa: E402
from tests.support.ports import free_port  # noqa: E402

pytestmark = pytest.mark.slow

OPERATOR = pathlib.Path(__file__).parent / "operator.py"
TIMEOUT_S = 45
FINALIZER = "example.com/widgets"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A server that keeps its port over restarts, as one does in production."""
    with Cluster(pathlib.Path(tmp_path_factory.mktemp("kopf")), f"--secure-port={free_port()}") as cluster:
        with kubernetes.config.new_client_from_config(str(cluster.kubeconfig)) as api:
            definitions = client.ApiextensionsV1Api(api)
            definitions.create_custom_resource_definition(widgets())
            established(definitions, "widgets.example.com")
        yield cluster


class Operator:
    """`kopf run`, for one namespace."""

    def __init__(self, cluster, namespace, directory):
        self._cluster = cluster
        self._namespace = namespace
        self._directory = directory
        self._process = None
        self._starts = 0

    def start(self):
        """Returns at once: what it does is waited for."""
        self._starts += 1
        command = [sys.executable, "-m", "kopf", "run", "--standalone", f"--namespace={self._namespace}", str(OPERATOR)]
        env = {**os.environ, "KUBECONFIG": str(self._cluster.kubeconfig), "OPERATOR_STARTED": str(self._starts)}
        env["OPERATOR_STREAMS"] = str(self._starts % 2)  # Streaming lists at first, lists after a restart.
        with (self._directory / "operator.log").open("a") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=env)

    def stop(self):
        """Ends it in order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(TIMEOUT_S)
            self._process = None

    def log(self):
        """What it said."""
        return (self._directory / "operator.log").read_text()


@pytest.fixture
def operator(cluster, namespace, tmp_path):
    """Started; stopped at the end."""
    operator = Operator(cluster, namespace, tmp_path)
    operator.start()
    try:
        yield operator
    finally:
        operator.stop()


class Widgets:
    """What a user of the operator does and sees."""

    def __init__(self, api, namespace):
        self._objects = client.CustomObjectsApi(api)
        self._core = client.CoreV1Api(api)
        self._namespace = namespace
        self._where = ("example.com", "v1", namespace, "widgets")

    def create(self, name, **spec):
        """A widget."""
        body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}
        return self._objects.create_namespaced_custom_object(*self._where, body)

    def patch(self, name, change):
        """By a merge patch."""
        return self._objects.patch_namespaced_custom_object(*self._where, name, change)

    def get(self, name):
        """None when it is gone."""
        return self._found(lambda: self._objects.get_namespaced_custom_object(*self._where, name))

    def delete(self, name):
        """Asks for it."""
        return self._objects.delete_namespaced_custom_object(*self._where, name)

    def child(self, name):
        """A ConfigMap, None when it is gone."""
        return self._found(lambda: self._core.read_namespaced_config_map(name, self._namespace))

    def events(self):
        """Reasons of what was reported."""
        return {one.reason for one in self._core.list_namespaced_event(self._namespace).items}

    @staticmethod
    def _found(read):
        try:
            return read()
        except ApiException as error:
            assert error.status == 404, error
            return None


@pytest.fixture
def user(cluster, namespace):
    """Of the namespace."""
    with kubernetes.config.new_client_from_config(str(cluster.kubeconfig)) as api:
        yield Widgets(api, namespace)


def until(condition, operator):
    """Asks again every 100 ms; what it said in the end."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (found := condition()):
        assert time.monotonic() < deadline, operator.log()
        time.sleep(0.1)
    return found


def status_of(user, name):
    """Empty before there is one."""
    return (user.get(name) or {}).get("status") or {}


def test_widget_is_created_changed_and_deleted_by_its_operator(operator, user):
    """The finalizer comes first, then the child with its owner, then the status; deletion waits for the handler and takes the child."""
    user.create("one", size=3)
    status = until(lambda: status_of(user, "one").get("create"), operator)
    assert status == {"child": "one-child"}
    widget, child = user.get("one"), user.child("one-child")
    assert (widget["metadata"]["finalizers"], child.data) == ([FINALIZER], {"size": "3"})
    assert [(one.kind, one.name, one.uid) for one in child.metadata.owner_references] == [("Widget", "one", widget["metadata"]["uid"])]
    user.patch("one", {"spec": {"size": 5}})
    until(lambda: status_of(user, "one").get("resized") == "3 to 5", operator)
    assert (user.child("one-child").data, user.get("one")["metadata"]["generation"]) == ({"size": "5"}, 2)
    until(lambda: user.events() == {"Logging"}, operator)
    answer = user.delete("one")
    assert (answer["kind"], "deletionTimestamp" in answer["metadata"]) == ("Widget", True)
    until(lambda: user.get("one") is None, operator)
    assert user.child("one-gone").data == {"last": '"one"'}
    until(lambda: user.child("one-child") is None, operator)


def test_operator_resumes_after_its_own_restart(operator, user):
    """What happened while it was away is done when it is back; what is unchanged is resumed, not created again."""
    user.create("kept", size=1)
    user.create("doomed", size=1)
    for name in ("kept", "doomed"):
        until(lambda name=name: status_of(user, name).get("create"), operator)
    operator.stop()
    user.patch("kept", {"spec": {"size": 2}})
    user.delete("doomed")
    user.create("late", size=9)
    assert user.get("doomed")["metadata"]["finalizers"] == [FINALIZER]
    operator.start()
    until(lambda: status_of(user, "kept").get("resumed") == "2", operator)
    until(lambda: status_of(user, "kept").get("resized") == "1 to 2", operator)
    until(lambda: status_of(user, "late").get("create"), operator)
    until(lambda: user.get("doomed") is None, operator)
    assert user.child("doomed-gone") is not None


def test_operator_outlives_a_restart_of_the_server(cluster, operator, user):
    """Its watches are opened again, nothing is lost, and what comes after is handled."""
    user.create("before", size=1)
    until(lambda: status_of(user, "before").get("create"), operator)
    version = user.get("before")["metadata"]["resourceVersion"]
    cluster.stop()
    cluster.start()
    assert user.get("before")["metadata"]["resourceVersion"] == version
    user.create("after", size=2)
    until(lambda: status_of(user, "after").get("create"), operator)
    user.patch("before", {"spec": {"size": 4}})
    until(lambda: status_of(user, "before").get("resized") == "1 to 4", operator)
    user.delete("before")
    until(lambda: user.get("before") is None, operator)
