"""Who may do what, as kubectl asks and as the server decides."""

from __future__ import annotations

import pytest

from tests.resource_api.kubectl.session import Cluster

pytestmark = pytest.mark.slow


def test_permissions_are_asked_and_hold(cluster: Cluster) -> None:
    """auth can-i agrees with what requests get; impersonation shows others' view."""
    with cluster.session("access") as kubectl:
        kubectl("auth whoami")
        kubectl("auth can-i create pods")
        kubectl("auth can-i create pods --as=ann")
        kubectl("get pods --as=ann")
        kubectl("get nodes --as=ann --as-group=staff")
        kubectl("create role reader --verb=get,list --resource=configmaps")
        kubectl("create rolebinding reader --role=reader --user=ann --serviceaccount=access:robot")
        kubectl("create serviceaccount robot")
        kubectl("auth can-i list configmaps --as=ann")
        kubectl("auth can-i '*' '*' --as=ann")
        kubectl("auth can-i get pods/log --as=ann -A")
        kubectl("auth can-i get /version --as=ann")
        kubectl("auth can-i --list --as=ann")
        kubectl("auth can-i --list")
        kubectl("auth whoami --as=ann --as-group=staff --as-uid=7 --as-user-extra=reason=test")
        kubectl("get configmaps --as=ann")
        kubectl("delete configmap kube-root-ca.crt --as=ann")
        kubectl("get configmaps -A --as=ann")
        kubectl("get configmaps --as=ann --as-group=system:masters -o name")
        kubectl("create rolebinding more --clusterrole=admin --user=ann --as=ann")
        for _ in range(2):
            kubectl("auth reconcile -f rbac.yaml")
        kubectl("get role reader -o jsonpath='{.rules}'")


def test_service_accounts_have_tokens(cluster: Cluster) -> None:
    """A token that was asked for lets its account in, as itself."""
    with cluster.session("tokens") as kubectl:
        kubectl.quietly("create serviceaccount robot")
        token = kubectl("create token robot").strip()
        kubectl("create token robot --duration=10s")
        kubectl("create token nobody")
        kubectl("create token robot --bound-object-kind=Secret --bound-object-name=nothing")
        robot = f"--kubeconfig={kubectl.with_token(token)}"
        whoami = kubectl.quietly("auth whoami -o jsonpath='{.status.userInfo.username} {.status.userInfo.groups}' " + robot)
        assert (
            whoami == 'system:serviceaccount:tokens:robot ["system:serviceaccounts","system:serviceaccounts:tokens","system:authenticated"]'
        )
        refused = kubectl.refused(f"get pods {robot}")
        assert 'User "system:serviceaccount:tokens:robot" cannot list resource "pods" in API group "" in the namespace "tokens"' in refused
        assert "Unauthorized" in kubectl.refused(f"get pods --kubeconfig={kubectl.with_token('nonsense')}")
