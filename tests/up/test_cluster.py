"""What `raftkv up` hands its members."""

from __future__ import annotations

import pytest

from raftkv.config import read_launch
from raftkv.up import cluster
from raftkv.up.command import parse
from raftkv.up.layout import Place

PLACES = [Place("n1", 22120, 22121), Place("n2", 22122, 22123)]


def test_command_is_one_the_configuration_takes(tmp_path):
    """The members' own flags read back into the settings that were meant."""
    local = cluster.LocalCluster(tmp_path, PLACES, ["--heartbeat-interval=50"])
    words = local.command(PLACES[1])
    assert words[1:4] == ["-m", "raftkv", "attended"]
    member = read_launch(words[4:], {}).member
    assert (member.name, member.data_dir) == ("n2", str(tmp_path / "n2" / "data"))
    assert member.initial_cluster == (("n1", "http://127.0.0.1:22121"), ("n2", "http://127.0.0.1:22123"))
    assert member.listen_client_urls == member.advertise_client_urls == ("http://127.0.0.1:22122",)
    assert member.heartbeat_interval_ms == 50


def test_members_do_not_inherit_variables_that_would_conflict():
    """A variable beside a flag is fatal."""
    assert cluster._environment({"ETCD_NAME": "x", "RAFTKV_NAME": "y", "PATH": "/bin", "ETCDCTL_API": "3"}) == {
        "PATH": "/bin",
        "ETCDCTL_API": "3",
    }


def test_arguments_after_two_dashes_go_to_every_member():
    options = parse(["--members", "5", "--data-dir", "d", "--", "--pre-vote=false"])
    assert (options.members, options.data_dir, options.base_port, options.handed_on) == (5, "d", None, ["--pre-vote=false"])


@pytest.mark.parametrize("arguments", [["--members", "0"], ["--members", "10"], ["--members", "x"], ["stray"]])
def test_wrong_arguments_end_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert "raftkv up" in capsys.readouterr().err
