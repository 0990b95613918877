"""Flags to the configuration."""

from __future__ import annotations

import pytest

from resource_api.config import FLAGS, ApiConfig, ConfigError, parse, usage
from resource_api.config_flags import SWITCHES, TOLERATED


def test_flags_of_a_real_manifest_start_this_server():
    """What means nothing here is warned of and nothing else."""
    config, warnings = parse(
        [
            "--etcd-servers=http://127.0.0.1:2379,http://127.0.0.1:2380",
            "--allow-privileged=true",
            "--authorization-mode=Node,RBAC",
            "--service-cluster-ip-range",
            "10.1.0.0/16",
            "--service-account-issuer=https://a",
            "--service-account-issuer=https://b",
            "--anonymous-auth=false",
            "--event-ttl=2h",
            "--profiling",
            "--kubelet-client-key",
            "/x",
            "--v=2",
        ]
    )
    assert config.etcd_servers == ("http://127.0.0.1:2379", "http://127.0.0.1:2380")
    assert (config.authorization_mode, config.service_cluster_ip_range) == (("Node", "RBAC"), ("10.1.0.0/16",))
    assert (config.service_account_issuer, config.anonymous_auth, config.event_ttl_s) == (("https://a", "https://b"), False, 7200.0)
    assert config.verbosity == 2
    assert [warning.split()[0] for warning in warnings] == ["--allow-privileged", "--profiling", "--kubelet-client-key"]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "exactly one of --etcd-servers and --embedded"),
        (["--embedded=d", "--etcd-server=x"], "unknown flag: --etcd-server (did you mean --etcd-servers?)"),
        (["--embedded=d", "stray"], "unexpected argument 'stray'"),
        (["--embedded=d", "--secure-port"], "flag needs an argument: --secure-port"),
        (["--embedded=d", "--secure-port=x"], "invalid argument 'x' for --secure-port"),
        (["--embedded=d", "--secure-port=70000"], "--secure-port 70000 is no port"),
        (["--embedded=d", "--authorization-mode=Foo"], "'Foo' is none of"),
        (["--embedded=d", "--service-cluster-ip-range=x"], "--service-cluster-ip-range"),
        (["--embedded=d", "--service-node-port-range=9-1"], "no range of ports"),
        (["--embedded=d", "--request-timeout=-1s"], "--request-timeout must be above zero"),
        (["--embedded=d", "--etcd-certfile=x"], "go together"),
    ],
)
def test_flags_that_describe_no_server_are_refused(words, part):
    """Each fault in a sentence."""
    with pytest.raises(ConfigError) as caught:
        parse(words)
    assert part in str(caught.value)


def test_flags_are_ours_or_tolerated_never_both():
    """One meaning per name; the help has each of ours with its explanation."""
    assert not set(FLAGS) & TOLERATED
    assert SWITCHES <= TOLERATED
    text = usage()
    assert all(f"  --{flag}" in text for flag in FLAGS)
    assert "\n        \n" not in text
    assert ApiConfig(embedded="d").validate() == []
