"""Debian's etcdctl against three members: its commands, its own output."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import Any

import pytest

from tests.clients.conftest import Cluster

TIMEOUT_S = 90
"""For one command."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("etcdctl") is None, reason="not available: no etcdctl is installed (Debian: etcd-client)"),
]


class Etcdctl:
    """etcdctl with its endpoints, and keys under a prefix of their own."""

    def __init__(self, endpoints: tuple[str, ...], prefix: str) -> None:
        self.endpoints = endpoints
        self.prefix = prefix
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("ETCDCTL_")} | {"ETCDCTL_API": "3"}

    def command(self, *arguments: str) -> list[str]:
        """The whole command line."""
        return ["etcdctl", f"--endpoints={','.join(self.endpoints)}", "--command-timeout=60s", *arguments]

    def try_run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a command that may fail."""
        return subprocess.run(
            self.command(*arguments), input=given, env=self._environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )

    def run(self, *arguments: str, given: str = "") -> str:
        """Runs a command that must not fail; its output."""
        done = self.try_run(*arguments, given=given)
        assert done.returncode == 0, f"etcdctl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """The same as JSON."""
        return json.loads(self.run(*arguments, "--write-out=json"))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on until it is ended."""
        return subprocess.Popen(self.command(*arguments), env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def put(self, key: str, value: str, *flags: str) -> int:
        """Its revision."""
        return int(self.json("put", self.prefix + key, value, *flags)["header"]["revision"])

    def get(self, *arguments: str) -> list[str]:
        """Lines of a get of the whole prefix, the prefix taken off."""
        return self.run("get", self.prefix, "--prefix", *arguments).replace(self.prefix, "").splitlines()


@pytest.fixture(params=["leader", "follower", "all"])
def etcdctl(request: pytest.FixtureRequest, cluster: Cluster) -> Etcdctl:
    """At the leader, at a follower, and balancing over all three."""
    endpoints = {"leader": (cluster.leader,), "follower": cluster.followers[:1], "all": cluster.endpoints}[request.param]
    return Etcdctl(endpoints, f"etcdctl/{request.node.name}/")


def test_put_and_get_with_every_option(etcdctl: Etcdctl) -> None:
    assert etcdctl.run("put", f"{etcdctl.prefix}a", "3") == "OK\n"
    first = etcdctl.put("b", "2")
    second = etcdctl.put("c", "1")
    etcdctl.put("a", "4")
    assert etcdctl.run("put", f"{etcdctl.prefix}a", "3", "--prev-kv") == f"OK\n{etcdctl.prefix}a\n4\n"
    assert etcdctl.run("put", f"{etcdctl.prefix}a", "--ignore-value") == "OK\n"
    assert etcdctl.run("get", f"{etcdctl.prefix}a") == f"{etcdctl.prefix}a\n3\n"
    assert etcdctl.run("get", f"{etcdctl.prefix}nothing") == ""
    assert etcdctl.get() == ["a", "3", "b", "2", "c", "1"]
    assert etcdctl.get("--limit=1") == ["a", "3"]
    assert etcdctl.get("--keys-only") == ["a", "", "b", "", "c", ""]
    assert etcdctl.get("--print-value-only") == ["3", "2", "1"]
    assert etcdctl.get("--order=DESCEND", "--sort-by=KEY", "--print-value-only") == ["1", "2", "3"]
    for field, order in (("CREATE", "abc"), ("MODIFY", "bca"), ("VALUE", "cba")):
        assert "".join(etcdctl.get(f"--sort-by={field}", "--order=ASCEND", "--keys-only")) == order
    assert etcdctl.get("--sort-by=VERSION", "--order=DESCEND", "--limit=1")[0] == "a"
    assert etcdctl.get(f"--rev={first}", "--print-value-only") == ["3", "2"]
    assert etcdctl.get("--consistency=s") == etcdctl.get("--consistency=l")
    assert etcdctl.run("get", f"{etcdctl.prefix}a", f"{etcdctl.prefix}c", "--print-value-only") == "3\n2\n"
    assert etcdctl.run("get", f"{etcdctl.prefix}b", "--from-key", "--limit=1").endswith("b\n2\n")
    assert etcdctl.json("get", etcdctl.prefix, "--prefix")["kvs"][2]["mod_revision"] == second


def test_del_counts_and_shows_what_it_removed(etcdctl: Etcdctl) -> None:
    for key in "abcd":
        etcdctl.put(key, key)
    assert etcdctl.run("del", f"{etcdctl.prefix}a", "--prev-kv") == f"1\n{etcdctl.prefix}a\na\n"
    assert etcdctl.run("del", f"{etcdctl.prefix}b", f"{etcdctl.prefix}d") == "2\n"
    assert etcdctl.run("del", f"{etcdctl.prefix}a") == "0\n"
    assert etcdctl.run("del", etcdctl.prefix, "--prefix") == "1\n"


def test_txn_takes_the_branch_its_compares_choose(etcdctl: Etcdctl) -> None:
    key = f"{etcdctl.prefix}k"
    etcdctl.put("k", "1")
    text = f'value("{key}") = "1"\nversion("{key}") > "0"\n\nput {key} 2\nget {key}\n\ndel {key}\n\n'
    assert etcdctl.run("txn", given=text) == f"SUCCESS\n\nOK\n\n{key}\n2\n"
    assert etcdctl.run("txn", given=text) == "FAILURE\n\n1\n"
    assert etcdctl.run("get", key) == ""


@pytest.mark.parametrize("etcdctl", ["leader", "follower"], indirect=True)
def test_watch_replays_and_follows(etcdctl: Etcdctl) -> None:
    """History, prefix, prev-kv; then what happens meanwhile."""
    start = etcdctl.put("a", "1")
    etcdctl.put("b", "2")
    etcdctl.put("a", "3")
    etcdctl.run("del", f"{etcdctl.prefix}b")
    process = etcdctl.start("watch", etcdctl.prefix, "--prefix", "--prev-kv", f"--rev={start}")
    try:
        assert process.stdout is not None
        past = ["PUT", "a", "1", "PUT", "b", "2", "PUT", "a", "1", "a", "3", "DELETE", "b", "2", "b", ""]
        assert [process.stdout.readline().rstrip("\n").replace(etcdctl.prefix, "") for _ in past] == past
        etcdctl.put("live", "4")
        live = ["PUT", "live", "4"]
        assert [process.stdout.readline().rstrip("\n").replace(etcdctl.prefix, "") for _ in live] == live
    finally:
        process.kill()
        process.communicate()


def test_lease_lives_is_kept_and_takes_its_keys_along(etcdctl: Etcdctl) -> None:
    granted = re.fullmatch(r"lease ([0-9a-f]{16}) granted with TTL\(300s\)\n", etcdctl.run("lease", "grant", "300"))
    assert granted is not None
    lease = granted[1]
    etcdctl.put("leased", "1", f"--lease={lease}")
    assert etcdctl.run("lease", "keep-alive", lease, "--once") == f"lease {lease} keepalived with TTL(300)\n"
    shown = etcdctl.run("lease", "timetolive", lease, "--keys")
    left = re.fullmatch(rf"lease {lease} granted with TTL\(300s\), remaining\((\d+)s\), attached keys\(\[(\S+)\]\)\n", shown)
    assert left is not None and 290 <= int(left[1]) <= 300 and left[2] == f"{etcdctl.prefix}leased"
    assert lease in etcdctl.run("lease", "list").split()
    assert etcdctl.run("lease", "revoke", lease) == f"lease {lease} revoked\n"
    assert etcdctl.run("get", f"{etcdctl.prefix}leased") == ""
    assert etcdctl.run("lease", "timetolive", lease) == f"lease {lease} already expired\n"
    refused = etcdctl.try_run("lease", "revoke", lease)
    assert refused.returncode == 1 and "requested lease not found" in refused.stderr


def test_compaction_is_final(etcdctl: Etcdctl) -> None:
    etcdctl.put("k", "old")
    now = etcdctl.put("k", "new")
    assert etcdctl.run("compaction", str(now), "--physical") == f"compacted revision {now}\n"
    for command in (("compaction", str(now)), ("get", f"{etcdctl.prefix}k", f"--rev={now - 1}")):
        refused = etcdctl.try_run(*command)
        assert refused.returncode == 1 and "required revision has been compacted" in refused.stderr
    watched = etcdctl.try_run("watch", f"{etcdctl.prefix}k", f"--rev={now - 1}")
    assert watched.returncode == 5 and "required revision has been compacted" in watched.stderr
    assert etcdctl.run("get", f"{etcdctl.prefix}k", f"--rev={now}").endswith("new\n")


def test_members_and_endpoints_are_shown(cluster: Cluster) -> None:
    etcdctl = Etcdctl(cluster.endpoints, "")
    members = [line.split(", ") for line in etcdctl.run("member", "list").splitlines()]
    assert sorted(member[4].removeprefix("http://") for member in members) == sorted(cluster.endpoints)
    assert {(member[1], member[5]) for member in members} == {("started", "false")}
    assert "PEER ADDRS" in etcdctl.run("member", "list", "--write-out=table")

    statuses = {one["Endpoint"]: one["Status"] for one in etcdctl.json("endpoint", "status")}
    assert set(statuses) == set(cluster.endpoints)
    assert len({one["leader"] for one in statuses.values()}) == len({one["raftTerm"] for one in statuses.values()}) == 1
    assert {format(one["header"]["member_id"], "x") for one in statuses.values()} == {member[0] for member in members}
    assert all(one["dbSize"] and one["version"] for one in statuses.values())
    assert "RAFT APPLIED INDEX" in etcdctl.run("endpoint", "status", "--cluster", "--write-out=table")

    done = etcdctl.try_run("endpoint", "health", "--cluster")
    assert (done.stdout + done.stderr).count("is healthy: successfully committed proposal") == 3

    etcdctl.run("put", "etcdctl/hashed", "1")
    revision = str(etcdctl.json("get", "etcdctl/hashed")["header"]["revision"])
    hashes = [one["HashKV"]["hash"] for one in etcdctl.json("endpoint", "hashkv", f"--rev={revision}")]
    assert len(hashes) == 3 and len(set(hashes)) == 1
    assert etcdctl.run("alarm", "list") == ""


def test_leadership_moves_and_comes_back(cluster: Cluster) -> None:
    """Writes go on meanwhile; the request must be sent to the leader."""
    ids = {one["Endpoint"]: one["Status"]["header"]["member_id"] for one in Etcdctl(cluster.endpoints, "").json("endpoint", "status")}
    for leader, target in ((cluster.leader, cluster.followers[0]), (cluster.followers[0], cluster.leader)):
        refused = Etcdctl((target,), "").try_run("move-leader", format(ids[leader], "x"))
        assert refused.returncode != 0 and "no leader endpoint given" in refused.stderr
        said = Etcdctl((leader,), "").run("move-leader", format(ids[target], "x"))
        assert said == f"Leadership transferred from {ids[leader]:x} to {ids[target]:x}\n"
        assert Etcdctl((leader,), "").run("put", "etcdctl/moved", "1") == "OK\n"
        assert {one["Status"]["leader"] for one in Etcdctl(cluster.endpoints, "").json("endpoint", "status")} == {ids[target]}


def test_errors_are_etcds(etcdctl: Etcdctl) -> None:
    for command, text in (
        (("put", "", "x"), "etcdserver: key is not provided"),
        (("put", "k", "--ignore-value", "--lease=1"), "etcdserver: requested lease not found"),
        (("get", "k", "--rev=999999999"), "etcdserver: mvcc: required revision is a future revision"),
        (("lease", "grant", "9000000001"), "etcdserver: too large lease TTL"),
    ):
        refused = etcdctl.try_run(*command)
        assert refused.returncode == 1 and text in refused.stderr, refused.stderr
