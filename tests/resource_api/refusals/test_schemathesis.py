"""schemathesis over our own OpenAPI documents: whatever a document allows, and what it does not, is answered and is no fault of ours.

Bounded and deterministic; `RAFTKV_SCHEMATHESIS=all` runs every group and version with more examples of each operation.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

schemathesis = pytest.importorskip("schemathesis")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402

from tests.resource_api.plane import ADMIN_TOKEN  # noqa: E402
from tests.resource_api.refusals.server import TIMEOUT_S, Server  # noqa: E402

pytestmark = pytest.mark.slow

FEW = (
    "apis/authorization.k8s.io/v1",
    "apis/coordination.k8s.io/v1",
    "apis/example.com/v1",
    "apis/policy/v1",
    "apis/scheduling.k8s.io/v1",
)
ALL = os.environ.get("RAFTKV_SCHEMATHESIS") == "all"
EXAMPLES = 30 if ALL else 2
ENDLESS = ("watch", "follow")
"""Parameters whose answers do not end; watches have tests of their own."""

CONNECTIONS = ("/exec", "/attach", "/portforward", "/log")


def documents(server: Server) -> Iterator[dict[str, Any]]:
    """Documents of groups and versions, with names that mostly exist."""
    index = json.loads(server.ask("GET", "/openapi/v3")[2])["paths"]
    for path in index if ALL else FEW:
        document = json.loads(server.ask("GET", f"/openapi/v3/{path}")[2])
        document["paths"] = {
            path: _tamed(path, item)
            for path, item in document.get("paths", {}).items()
            if "/watch/" not in path and "/proxy" not in path and not path.endswith(CONNECTIONS)
        }
        yield document


def _tamed(path: str, item: dict[str, Any]) -> dict[str, Any]:
    for parameters in (item.get("parameters", []), *(one.get("parameters", []) for one in item.values() if isinstance(one, dict))):
        parameters[:] = [one for one in parameters if one["name"] not in ENDLESS]
        for one in parameters:
            if one["in"] == "path":
                is_namespace = one["name"] == "namespace"
                one["schema"] = {"type": "string", "enum": ["default"] if is_namespace else ["here", "web", "pod", "robot", "one"]}
    return item


def test_no_operation_of_our_documents_is_our_fault(server: Server) -> None:
    """No 5xx, and an answer in time, whatever is sent."""
    sent = 0
    for document in documents(server):
        for found in schemathesis.openapi.from_dict(document).get_all_operations():
            operation = found.ok()

            @given(case=operation.as_strategy())
            @settings(
                max_examples=EXAMPLES,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def ask(case: Any) -> None:
                nonlocal sent
                sent += 1
                answer = case.call(base_url=server.url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=TIMEOUT_S)
                assert answer.status_code < 500, (case.method, case.formatted_path, case.query, case.body, answer.text)

            ask()
    assert sent >= 60
