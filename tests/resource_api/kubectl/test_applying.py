"""apply in both ways, who owns which field, diff, and prune."""

from __future__ import annotations

import pytest

from tests.resource_api.kubectl.session import Cluster

pytestmark = pytest.mark.slow

MORE = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  theme: light
  extra: "1"
"""

LESS = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  theme: light
"""


def test_apply_merges_three_ways(cluster: Cluster) -> None:
    """What was applied before and is applied no more goes; what others added stays."""
    with cluster.session("apply") as kubectl:
        kubectl("apply -f deployment.yaml")
        kubectl("apply -f deployment.yaml")
        kubectl("apply view-last-applied -f deployment.yaml")
        kubectl("set env deployment/web ADDED=yes")
        kubectl("diff -f deployment-changed.yaml")
        kubectl("apply -f deployment-changed.yaml --dry-run=server")
        kubectl("apply -f deployment-changed.yaml")
        kubectl("get deployment web -o jsonpath='{.metadata.generation} {.spec.replicas} {.spec.template.spec.containers}'")
        kubectl("diff -f deployment-changed.yaml")
        kubectl("create -f config-map.yaml")
        kubectl("apply -f -", stdin=MORE)
        kubectl("apply -f -", stdin=LESS)
        kubectl("get configmap settings -o jsonpath='{.data}'")
        kubectl("apply set-last-applied -f config-map.yaml")
        kubectl("apply edit-last-applied configmap/settings", editor="sed -i s/dark/black/")
        kubectl("apply view-last-applied configmap/settings")
        kubectl("apply -k kustomize")
        kubectl("apply --prune --all --prune-allowlist=core/v1/ConfigMap -f config-map.yaml")
        kubectl("get configmaps")


def test_server_side_apply_knows_owners(cluster: Cluster) -> None:
    """Two appliers own their fields, conflict over others', and may take them by force."""
    with cluster.session("server-side-apply") as kubectl:
        kubectl("apply --server-side -f deployment.yaml")
        kubectl("apply --server-side -f deployment.yaml")
        kubectl("apply --server-side -f deployment-changed.yaml --field-manager=other")
        kubectl("apply --server-side -f deployment-changed.yaml --field-manager=other --force-conflicts")
        kubectl("apply --server-side -f deployment.yaml --dry-run=server")
        kubectl("diff --server-side -f deployment.yaml --field-manager=other")
        kubectl("scale deployment web --replicas=7")
        kubectl("apply --server-side -f deployment-changed.yaml --field-manager=other")
        kubectl("get deployment web -o yaml --show-managed-fields")
        kubectl("apply -f config-map.yaml")
        kubectl("apply --server-side -f -", stdin=MORE)
        kubectl("get configmap settings -o yaml --show-managed-fields")
        kubectl("apply --server-side -f -", stdin=LESS)
        kubectl("get configmap settings -o yaml")


def test_edit_and_replace_are_for_what_stands(cluster: Cluster) -> None:
    """An edit is a patch of what was shown; what is not valid is shown again and refused."""
    with cluster.session("edit") as kubectl:
        kubectl.quietly("apply -f deployment.yaml")
        kubectl("edit deployment web", editor="sed -i s/1.25/1.27/")
        kubectl("edit deployment web", editor="sed -i s/replicas:.2/replicas:\\ -1/")
        kubectl("edit deployment web --subresource=status", editor="sed -i s/status:.{}/status:\\ {replicas:\\ 4}/")
        kubectl("get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} {.spec.replicas} {.status}'")
        kubectl("replace -f deployment-changed.yaml")
        kubectl("get deployment web --subresource=status")
        kubectl("get deployment web --subresource=scale")
        kubectl('patch deployment web --subresource=scale --type=merge -p \'{"spec":{"replicas":5}}\'')
        kubectl("""patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"server","image":"nginx:2"}]}}}}'""")
        kubectl("""patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"server","$patch":"delete"}]}}}}'""")
        kubectl("""patch deployment web -p '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}'""")
        kubectl("""patch deployment web --type=merge -p '{"spec":{"replicas":"many"}}'""")
        kubectl("get deployment web -o jsonpath='{.metadata.generation} {.spec.template.spec.containers[*].image}'")
