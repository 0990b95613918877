"""Tables of refusals: each row is a request, and the Status upstream answers it with."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
import yaml

from tests.resource_api.refusals.server import Server

TABLES = ("bodies", "queries", "patches", "names", "kinds")
REST = "/api/v1/namespaces/default/"
SHORT = {"maps": "/api/v1/namespaces/default/configmaps", "deployments": "/apis/apps/v1/namespaces/default/deployments"}
SHORT["widgets"] = "/apis/example.com/v1/namespaces/default/widgets"


def rows() -> list[Any]:
    """Every row of every table, under its name."""
    found = []
    for table in TABLES:
        for row in yaml.safe_load((pathlib.Path(__file__).parent / f"{table}.yaml").read_text()):
            found.append(pytest.param(row, id=f"{table}-{row['name']}"))
    return found


def body_of(row: dict[str, Any]) -> bytes | None:
    """As text, as hexadecimal, as JSON of what is given, or a text many times between two others."""
    if "hex" in row:
        return bytes.fromhex(row["hex"])
    if "many" in row:
        before, middle, after, count = row["many"]
        return str(before + middle * count + after).encode()
    if "json" in row:
        return json.dumps(row["json"]).encode()
    return row["body"].encode() if "body" in row else None


@pytest.mark.parametrize("row", rows())
def test_refusal_is_upstreams(server: Server, row: dict[str, Any]) -> None:
    """Code, reason and message; causes and details where the row names them. A refusal is JSON."""
    method, _, target = row["ask"].partition(" ")
    for short, path in SHORT.items():
        if target.partition("?")[0].partition("/")[0] == short:
            target = path + target.removeprefix(short)
    headers = {"Content-Type": row["type"]} if "type" in row else {}
    code, media, answer = server.ask(method, target, body_of(row), {**headers, **row.get("headers", {})})
    assert media == "application/json", answer[:500]
    status = json.loads(answer)
    message = status.get("message", "")
    if "message_like" in row:  # It ends in what no two runs share.
        message = message[: len(row["message_like"])]
    seen = {"code": code, "reason": status.get("reason", ""), "message": message}
    assert seen == {"code": row["code"], "reason": row["reason"], "message": row.get("message", row.get("message_like"))}
    assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", code)
    if "causes" in row:
        assert status["details"]["causes"] == row["causes"]
    if "details" in row:
        assert {name: value for name, value in status.get("details", {}).items() if name != "causes"} == row["details"]


@pytest.mark.parametrize("change", [{"kind": None, "apiVersion": None}, {"kind": ""}])
@pytest.mark.parametrize("kind", ["merge-patch", "strategic-merge-patch"])
def test_patch_cannot_take_the_kind_away(server: Server, change: dict[str, Any], kind: str) -> None:
    """A built-in object is of its kind, whatever becomes of the words."""
    code, _, answer = server.ask(
        "PATCH", f"{SHORT['maps']}/here", json.dumps(change).encode(), {"Content-Type": f"application/{kind}+json"}
    )
    obj = json.loads(answer)
    assert (code, obj["kind"], obj["apiVersion"]) == (200, "ConfigMap", "v1"), answer
    stored = json.loads(server.ask("GET", f"{SHORT['maps']}/here")[2])
    assert (stored["kind"], stored["apiVersion"]) == ("ConfigMap", "v1")
