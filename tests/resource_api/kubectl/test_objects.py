"""create, get, patch, label, annotate, replace, edit, apply, diff and delete, on objects without controllers."""

from __future__ import annotations

import pytest

from tests.resource_api.kubectl.session import Cluster

pytestmark = pytest.mark.slow


def test_config_map_lives_through_every_plain_command(cluster: Cluster) -> None:
    """Each of kubectl's plain ways to change an object does what it says and prints what it prints elsewhere."""
    with cluster.session("config-map") as kubectl:
        kubectl("create -f config-map.yaml")
        kubectl("create -f config-map.yaml")
        kubectl("get configmaps")
        kubectl("get configmap settings -o yaml --show-managed-fields")
        kubectl("describe configmap settings")
        kubectl("label configmap settings tier=front")
        kubectl("label configmap settings tier=back")
        kubectl("label configmap settings tier=back --overwrite")
        kubectl("get configmap settings --show-labels")
        kubectl("get configmap -L tier")
        kubectl("label configmap settings tier-")
        kubectl("annotate configmap settings note='for people'")
        kubectl("annotate configmap settings note=other")
        kubectl("annotate configmap settings note-")
        kubectl("""patch configmap settings -p '{"data":{"color":"red"}}'""")
        kubectl("""patch configmap settings --type=merge -p '{"data":{"color":null,"shape":"round"}}'""")
        kubectl("""patch configmap settings --type=json -p '[{"op":"replace","path":"/data/shape","value":"square"}]'""")
        kubectl("""patch configmap settings --type=json -p '[{"op":"test","path":"/data/shape","value":"round"}]'""")
        kubectl("""patch configmap settings --type=json -p '[{"op":"remove","path":"/data/nothing"}]'""")
        kubectl("""patch configmap settings --type=merge -p '{"data":{"n":1}}'""")
        kubectl("""patch configmap settings --type=merge -p '{"metadata":{"resourceVersion":"1"},"data":{"n":"1"}}'""")
        kubectl("get configmap settings -o jsonpath='{.data.shape}'")
        kubectl("get configmap settings -o go-template='{{range $k, $v := .data}}{{$k}}={{$v}} {{end}}'")
        kubectl("get configmap settings -o custom-columns=NAME:.metadata.name,SHAPE:.data.shape,NONE:.data.none")
        kubectl("replace -f config-map.yaml")
        kubectl("get configmap settings -o jsonpath='{.data}'")
        kubectl("replace --force -f config-map.yaml")
        kubectl("edit configmap settings", editor="sed -i s/dark/light/")
        kubectl("edit configmap settings", editor="true")
        kubectl("get configmap settings -o jsonpath='{.data}'")
        kubectl("delete configmap settings --dry-run=server")
        kubectl("delete configmap settings")
        kubectl("delete configmap settings")
        kubectl("get configmap settings")
        kubectl("get configmap settings --ignore-not-found")
        kubectl("replace -f config-map.yaml")
