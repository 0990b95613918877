"""Custom kinds under the same commands as built-in ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.resource_api.kubectl.session import Cluster

pytestmark = pytest.mark.slow

CHANGED = """
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: nightly}
spec:
  cronSpec: '0 4 * * *'
  ports:
  - {name: dns, port: 53}
"""

COLORED = CHANGED.replace("  cronSpec", "  color: red\n  cronSpec")


@pytest.fixture(scope="module", autouse=True)
def kind(cluster: Cluster) -> Iterator[None]:
    """A custom kind with status, scale and columns, made and unmade as a person would."""
    with cluster.session("definition") as kubectl:
        kubectl("create -f crd.yaml")
        kubectl("wait --for=condition=Established crd/crontabs.stable.example.com --timeout=60s")
        kubectl("get crd")
        kubectl("api-resources --api-group=stable.example.com -o wide")
        kubectl("explain crontab")
        kubectl("explain crontab.spec --recursive")
        kubectl("explain ct.spec.replicas")
        kubectl("get crd crontabs.stable.example.com -o jsonpath='{.status}'")
        kubectl("describe crd crontabs.stable.example.com")
    yield
    with cluster.session("definition-deleted") as kubectl:
        kubectl.quietly("create -f crontab.yaml")
        kubectl("delete crd crontabs.stable.example.com")
        kubectl("get crontabs")


def test_custom_objects_live_through_plain_commands(cluster: Cluster) -> None:
    """create, get, describe, label, annotate, patch, edit, replace, delete."""
    with cluster.session("crontabs") as kubectl:
        kubectl("create -f crontab.yaml")
        kubectl("create -f crontab.yaml")
        kubectl("get crontabs")
        kubectl("get ct -o wide")
        kubectl("get tabs,all")
        kubectl("get ct nightly -o yaml --show-managed-fields")
        kubectl("get ct --field-selector spec.image=cron:1 -o name")
        kubectl("get ct --field-selector spec.replicas=1 -o name")
        kubectl("get ct --sort-by=.spec.replicas")
        kubectl("describe ct nightly")
        kubectl("label ct nightly a=b")
        kubectl("annotate ct nightly a=b")
        kubectl("get ct -l a=b -o name")
        kubectl("""patch ct nightly -p '{"spec":{"replicas":2}}'""")
        kubectl("""patch ct nightly --type=merge -p '{"spec":{"replicas":2}}'""")
        kubectl("""patch ct nightly --type=merge -p '{"spec":{"replicas":20}}'""")
        kubectl("""patch ct nightly --type=merge -p '{"spec":{"cronSpec":"never","replicas":"x"}}'""")
        kubectl("""patch ct nightly --type=json -p '[{"op":"add","path":"/spec/image","value":"cron:2"}]'""")
        both = '{"status":{"replicas":2,"labelSelector":"a=b"},"spec":{"replicas":9}}'
        kubectl(f"patch ct nightly --type=merge --subresource=status -p '{both}'")
        kubectl("get ct nightly -o jsonpath='{.metadata.generation} {.spec} {.status}'")
        kubectl("get ct -o wide")
        kubectl("edit ct nightly", editor="sed -i s/cron:2/cron:3/")
        kubectl("replace -f crontab.yaml")
        kubectl("get ct nightly -o jsonpath='{.metadata.generation} {.spec} {.status}'")
        kubectl("scale ct nightly --replicas=3")
        kubectl("scale ct nightly --replicas=4 --current-replicas=3")
        kubectl("get ct nightly --subresource=scale -o yaml")
        kubectl("get ct nightly --subresource=scale")
        kubectl("autoscale ct nightly --max=5")
        kubectl("set image ct/nightly x=y")
        kubectl("rollout restart ct/nightly")
        with kubectl.running("get ct -w", until_line=2, lines=3):
            kubectl.quietly("scale ct nightly --replicas=5")
        with kubectl.running("wait ct/nightly --for=condition=Ready --timeout=60s"):
            ready = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}'
            kubectl.quietly(f"patch ct nightly --type=merge --subresource=status -p '{ready}'")
        kubectl("delete ct nightly")
        kubectl("get ct")


def test_custom_objects_are_applied(cluster: Cluster) -> None:
    """Apply in both ways, with conflicts, by the schema of the definition."""
    with cluster.session("crontabs-applied") as kubectl:
        kubectl("apply -f crontab.yaml")
        kubectl("apply -f crontab.yaml")
        kubectl("diff -f -", stdin=CHANGED)
        kubectl("apply -f -", stdin=CHANGED)
        kubectl("get ct nightly -o jsonpath='{.spec}'")
        kubectl("delete ct --all")
        kubectl("apply --server-side -f crontab.yaml")
        kubectl("apply --server-side --field-manager=other -f -", stdin=CHANGED)
        kubectl("apply --server-side --field-manager=other --force-conflicts -f -", stdin=CHANGED)
        kubectl("get ct nightly -o yaml --show-managed-fields")
        kubectl("apply -f -", stdin=COLORED)
        kubectl("create -f - --validate=warn", stdin=COLORED.replace("nightly", "warned"))
        kubectl("create -f - --validate=false", stdin=COLORED.replace("nightly", "pruned"))
        kubectl("create -f -", stdin=CHANGED.replace("0 4 * * *", "soon").replace("nightly", "wrong"))
        kubectl("get ct -o jsonpath='{.items[*].spec}'")
        kubectl("delete ct nightly --cascade=foreground")
        kubectl("delete namespace crontabs-applied")


def test_wrong_definitions_are_refused(cluster: Cluster) -> None:
    """A definition that cannot work is refused in upstream's words."""
    with cluster.session("wrong-definitions") as kubectl:
        kubectl("create -f wrong-crd.yaml")
        kubectl("""patch crd crontabs.stable.example.com --type=merge -p '{"spec":{"scope":"Cluster"}}'""")
