"""The HTTP endpoints as functions."""

from __future__ import annotations

import json

import pytest

from raftkv.errors import TimeoutError as RequestTimeoutError
from raftkv.rpc.endpoints import Endpoints, HttpRequest, HttpResponse
from raftkv.server.api import Alarm
from tests.rpc.fake_call import Bench

NOSPACE, CORRUPT = 1, 2
TEXT = ("Content-Type", "text/plain; charset=utf-8")


def get(bench: Bench, target: str, method: str = "GET") -> HttpResponse:
    path, _, query = target.partition("?")
    answers: list[HttpResponse] = []
    Endpoints(bench.member, bench.metrics).serve(HttpRequest(method, path, query), answers.append)
    bench.turns.run()
    assert len(answers) == 1
    return answers[0]


def health(bench: Bench, query: str = "") -> tuple[int, str]:
    answer = get(bench, "/health" + query)
    found = json.loads(answer.body)
    assert found["health"] == ("true" if answer.status == 200 else "false")
    return answer.status, found["reason"]


def test_health_of_a_healthy_member_is_true():
    bench = Bench()
    answer = get(bench, "/health")
    assert (answer.status, answer.body) == (200, b'{"health":"true","reason":""}')
    assert bench.metrics.number("etcd_server_health_success").value == 1


def test_health_names_the_first_reason_in_etcds_order():
    """Alarms before the leader, the leader before the read."""
    bench = Bench()
    bench.member.leader_id = 0
    assert health(bench) == (503, "RAFT NO LEADER")
    bench.member.alarms = [Alarm(1, NOSPACE), Alarm(1, CORRUPT)]
    assert health(bench) == (503, "ALARM NOSPACE")
    assert health(bench, "?exclude=NOSPACE") == (503, "ALARM CORRUPT")
    assert health(bench, "?exclude=NOSPACE&exclude=CORRUPT") == (503, "RAFT NO LEADER")
    bench.member.alarms = [Alarm(1, 9)]
    assert health(bench) == (503, "ALARM UNKNOWN")
    assert bench.metrics.number("etcd_server_health_failures").value == 5


def test_health_reports_a_failed_read():
    bench = Bench()
    bench.member.range = lambda request, done: done(None, RequestTimeoutError())
    assert health(bench) == (503, "RANGE ERROR:etcdserver: request timed out")


def test_health_with_serializable_asks_this_member_alone():
    bench = Bench()
    bench.member.leader_id = 0
    assert health(bench, "?serializable=true") == (200, "")
    assert health(bench, "?serializable=1") == (503, "RAFT NO LEADER")


@pytest.mark.parametrize("path", ["/health", "/version", "/livez", "/readyz", "/livez/serializable_read"])
def test_other_methods_are_not_allowed(path):
    answer = get(Bench(), path, "POST")
    assert (answer.status, answer.body) == (405, b"Method Not Allowed\n")
    assert ("Allow", "GET") in answer.headers and TEXT in answer.headers


@pytest.mark.parametrize("path", ["/", "", "/nothing", "/health/", "/livez/", "/livez/linearizable_read", "/readyz/a/b", "/v2/keys", "//"])
def test_other_paths_are_not_found(path):
    answer = get(Bench(), path)
    assert (answer.status, answer.body) == (404, b"404 page not found\n")


def test_version_has_server_cluster_and_storage():
    bench = Bench()
    answer = get(bench, "/version")
    assert json.loads(answer.body) == {"etcdserver": "3.7.0", "etcdcluster": "3.7.0", "storage": "3.7.0"}
    assert answer.headers == (("Content-Type", "application/json"),)
    undecided = bench.member.status()._replace(cluster_version="")
    bench.member.status = lambda: undecided
    assert json.loads(get(bench, "/version").body)["etcdcluster"] == "not_decided"


def test_probes_are_ok_and_list_their_checks_when_asked():
    bench = Bench()
    assert get(bench, "/livez").body == b"ok\n" and get(bench, "/readyz").body == b"ok\n"
    assert get(bench, "/livez?verbose").body == b"[+]serializable_read ok\nok\n"
    assert get(bench, "/readyz?verbose").body == (
        b"[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n"
    )
    assert get(bench, "/readyz/linearizable_read?verbose").body == b"[+]linearizable_read ok\nok\n"


def test_failed_probe_lists_every_check():
    bench = Bench()
    bench.member.leader_id = 0
    bench.member.alarms = [Alarm(1, CORRUPT)]
    answer = get(bench, "/readyz")
    assert answer.status == 503 and TEXT in answer.headers
    assert answer.body == (
        b"[-]data_corruption failed: alarm activated: CORRUPT\n[+]serializable_read ok\n"
        b"[-]linearizable_read failed: etcdserver: request timed out\n[+]non_learner ok\n\n"
    )
    assert get(bench, "/livez").status == 200, "a member without leader is alive"
    excluding = "/readyz?exclude=data_corruption&exclude=linearizable_read&exclude=unknown"
    assert get(bench, excluding).body == b"ok\n"
    assert get(bench, "/readyz/data_corruption").status == 503


def test_learner_is_not_ready():
    bench = Bench()
    learner = bench.member.status()._replace(is_learner=True)
    bench.member.status = lambda: learner
    assert b"[-]non_learner failed: not supported for learner\n" in get(bench, "/readyz").body


def test_probe_outcomes_are_counted():
    bench = Bench()
    get(bench, "/readyz")
    bench.member.leader_id = 0
    get(bench, "/readyz")
    total = bench.metrics.family("etcd_server_healthchecks_total")
    assert total.number("readyz", "linearizable_read", "success").value == 1
    assert total.number("readyz", "linearizable_read", "error").value == 1
    assert bench.metrics.family("etcd_server_healthcheck").number("readyz", "linearizable_read").value == 0


def test_scrape_is_prometheus_text():
    answer = get(Bench(), "/metrics")
    assert answer.headers == (("Content-Type", "text/plain; version=0.0.4; charset=utf-8"),)
    assert b'\netcd_server_version{server_version="3.7.0"} 1\n' in answer.body


def test_variables_are_those_of_etcd():
    """/debug/vars: Go's expvar form, one variable a line, with etcd's raft.status."""
    bench = Bench()
    answer = get(bench, "/debug/vars")
    assert answer.headers == (("Content-Type", "application/json; charset=utf-8"),)
    found = json.loads(answer.body)
    assert list(found) == ["cmdline", "file_descriptor_limit", "memstats", "raft.status"]
    assert answer.body.startswith(b'{\n"cmdline": [') and answer.body.endswith(b"}\n}\n")
    assert found["file_descriptor_limit"] > 0
    member_id = f"{bench.member.member_id:x}"
    assert found["raft.status"] == {
        "id": member_id,
        "term": bench.member.term,
        "vote": "7",
        "commit": 5,
        "lead": f"{bench.member.leader_id:x}",
        "raftState": "StateLeader",
        "applied": 4,
        "progress": {"7": {"match": 5, "next": 6, "state": "StateReplicate"}},
        "leadtransferee": "0",
    }
    assert get(bench, "/debug/vars", "POST").status == 405


def test_metrics_urls_serve_metrics_and_checks_only():
    """--listen-metrics-urls is for ports that clients do not reach, and the other way round."""
    bench = Bench()
    endpoints = Endpoints(bench.member, bench.metrics, monitoring_only=True)
    statuses = {}
    for path in ("/metrics", "/health", "/livez", "/readyz/non_learner", "/version", "/debug/vars", "/"):
        endpoints.serve(HttpRequest("GET", path), lambda answer, path=path: statuses.update({path: answer.status}))
        bench.turns.run()
    assert statuses == {"/metrics": 200, "/health": 200, "/livez": 200, "/readyz/non_learner": 200} | dict.fromkeys(
        ("/version", "/debug/vars", "/"), 404
    )
