"""Arguments and environment become settings, or end the start in etcd's words and with its exit status."""

from __future__ import annotations

import dataclasses
import json
import logging
import pathlib
import re

import pytest

from raftkv import config
from raftkv.config.flag_table import FLAGS, OLDER_GROUP, RENAMED
from raftkv.config.flags import Use
from raftkv.server.settings import MemberSettings


def launch(*arguments: str, **environ: str) -> config.Launch:
    return config.read_launch(arguments, environ, default_host=lambda: "192.0.2.7")


def stop(*arguments: str, **environ: str) -> config.Stop:
    with pytest.raises(config.Stop) as stopped:
        launch(*arguments, **environ)
    return stopped.value


def faults(*arguments: str, **environ: str) -> list[str]:
    """The texts of a start that ended with status 1."""
    stopped = stop(*arguments, **environ)
    assert stopped.status == 1
    assert {notice.message for notice in stopped.notices if "error" in notice.fields} <= {"failed to verify flags"}
    return [str(notice.fields["error"]) for notice in stopped.notices if "error" in notice.fields]


def warnings(made: config.Launch) -> list[tuple[str, dict]]:
    return [(notice.message, dict(notice.fields)) for notice in made.notices if notice.level >= logging.WARNING]


def test_no_arguments_give_the_documented_defaults():
    """`raftkv` alone is a cluster of one; every default is the one MemberSettings documents."""
    assert launch().member == MemberSettings()


@pytest.mark.parametrize("form", [("-name", "x"), ("--name", "x"), ("-name=x",), ("--name=x",)])
def test_flag_forms_are_gos(form):
    made = launch(*form).member
    assert made.name == "x"
    assert made.data_dir == "x.etcd"
    assert made.initial_cluster == (("x", "http://localhost:2380"),)


def test_values_reach_their_settings():
    made = launch(
        *("--heartbeat-interval=50", "--election-timeout", "500", "--snapshot-count=7", "--pre-vote=false", "--max-request-bytes=0x100"),
        *("--backend-batch-interval=20ms", "--backend-batch-limit=5", "--quota-backend-bytes=-1", "--unsafe-no-fsync"),
        *("--watch-progress-notify-interval=1m", "--compaction-sleep-interval=1us", "--initial-cluster-state", "existing"),
        *("--listen-client-urls=http://127.0.0.1:22001,http://127.0.0.1:22000", "--advertise-client-urls=http://a:1"),
        *("--log-level=debug", "--log-format=console", "--log-outputs=stdout,/x"),
    )
    member = made.member
    assert (member.heartbeat_interval_ms, member.election_timeout_ms, member.snapshot_count) == (50, 500, 7)
    assert (member.pre_vote, member.max_request_bytes, member.unsafe_no_fsync) == (False, 256, True)
    assert (member.backend_batch_interval_ms, member.backend_batch_limit, member.quota_backend_bytes) == (20, 5, -1)
    assert (member.watch_progress_notify_interval_ms, member.compaction_sleep_interval_ms) == (60_000, 1)
    assert member.initial_cluster_state == "existing"
    assert member.listen_client_urls == ("http://127.0.0.1:22000", "http://127.0.0.1:22001")
    assert member.advertise_client_urls == ("http://a:1",)
    assert (made.logs.level, made.logs.format, made.logs.outputs) == ("debug", "console", ("stdout", "/x"))


@pytest.mark.parametrize(
    ("flags", "period_s", "revisions"),
    [
        (["--auto-compaction-retention=1"], 3600, 0),
        (["--auto-compaction-retention=90s"], 90, 0),
        (["--auto-compaction-retention=0"], 0, 0),
        (["--auto-compaction-retention="], 0, 0),
        (["--auto-compaction-retention=-1h"], 0, 0),
        (["--auto-compaction-mode=revision", "--auto-compaction-retention=1000"], 0, 1000),
        (["--auto-compaction-mode=revision"], 0, 0),
    ],
)
def test_retention_counts_hours_durations_or_revisions(flags, period_s, revisions):
    """A bare number means hours or revisions, by the mode; nothing and less than nothing switch it off."""
    member = launch(*flags).member
    assert (member.auto_compaction_period_s, member.auto_compaction_revisions) == (period_s, revisions)


def test_every_used_flag_changes_a_setting():
    """A row marked USED that reached nothing would be accepted in silence."""
    other = {
        "string": "other",
        "bool": None,
        "int": "3",
        "uint": "3",
        "uint32": "3",
        "duration": "3s",
        "urls": "http://127.0.0.1:22003",
        "list": "stdout",
        "new|existing": "existing",
    }
    special = {
        "auto-compaction-retention": "2",
        "auto-compaction-mode": "revision --auto-compaction-retention=2",
        "initial-cluster": "default=http://127.0.0.1:22003",
        "log-level": "warn",
        "log-format": "console",
        "heartbeat-interval": "99",
        "election-timeout": "999",
    }
    for flag in FLAGS.values():
        if flag.use is not Use.USED or flag.name == "logger":
            continue
        text = special.get(flag.name) or other[flag.kind.value] or ("false" if flag.default == "true" else "true")
        extra = ["--advertise-client-urls=http://localhost:2379"] if flag.name == "listen-client-urls" else []
        made = launch(*f"--{flag.name}={text}".split(), *extra)
        assert (made.member, made.logs) != (MemberSettings(), launch().logs), flag.name


def test_every_older_name_leads_to_a_flag_that_exists():
    assert set(RENAMED.values()) <= set(FLAGS)
    made = launch("--experimental-compaction-batch-limit=3")
    assert made.member.compaction_batch_limit == 3
    assert "--experimental-compaction-batch-limit is deprecated" in made.notices[0].message


def test_table_has_etcds_names_and_defaults():
    """etcd_flags.txt is what etcd 3.7 documents; the data directory's default depends on the name."""
    lines = pathlib.Path(__file__).with_name("etcd_flags.txt").read_text().splitlines()
    documented = dict(line.split("\t") for line in lines if not line.startswith("#"))
    assert {name: flag.default for name, flag in FLAGS.items() if flag.group != OLDER_GROUP} == documented


def test_every_flag_has_a_default_it_takes_and_a_help_text():
    for flag in FLAGS.values():
        flag.parse(flag.default)
        assert flag.help.endswith("."), flag.name


@pytest.mark.parametrize(
    ("arguments", "first_line"),
    [
        (["-nosuch"], "flag provided but not defined: -nosuch"),
        (["--nosuch=1"], "flag provided but not defined: -nosuch"),
        (["---name"], "bad flag syntax: ---name"),
        (["--=1"], "bad flag syntax: --=1"),
        (["--name"], "flag needs an argument: -name"),
        (["--heartbeat-interval=foo"], 'invalid value "foo" for flag -heartbeat-interval: parse error'),
        (["--pre-vote=foo"], 'invalid boolean value "foo" for -pre-vote: parse error'),
        (["--initial-cluster-state", "foo"], 'invalid value "foo" for flag -initial-cluster-state: invalid value'),
        (["--backend-batch-interval", "5"], 'invalid value "5" for flag -backend-batch-interval: parse error'),
        (
            ["--max-concurrent-streams", "99999999999"],
            'invalid value "99999999999" for flag -max-concurrent-streams: strconv.ParseUint: parsing "99999999999": value out of range',
        ),
        (["--feature-gates=X=true"], 'invalid value "X=true" for flag -feature-gates: unrecognized feature gate: X'),
    ],
)
def test_wrong_syntax_ends_with_status_2_and_gos_words(arguments, first_line):
    """The usage follows the message, on standard error."""
    stopped = stop(*arguments)
    assert stopped.status == 2
    assert stopped.stderr.splitlines()[0] == first_line
    assert "Usage:" in stopped.stderr
    assert stopped.stdout == ""


def test_all_bad_values_are_reported_at_once():
    lines = stop("--heartbeat-interval=foo", "--pre-vote=maybe").stderr.splitlines()
    assert lines[0].startswith('invalid value "foo"')
    assert lines[1].startswith('invalid boolean value "maybe"')


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["extra"], "'extra' is not a valid flag"),
        (["--pre-vote", "false"], "'false' is not a valid flag"),
        (["--listen-client-urls=http://127.0.0.1:1"], "--advertise-client-urls is required when --listen-client-urls is set explicitly"),
        (["--heartbeat-interval=300"], "--election-timeout[1000ms] should be at least as 5 times as --heartbeat-interval[300ms]"),
        (["--election-timeout=60000"], "--election-timeout[60000ms] is too long, and should be set less than 50000ms"),
        (["--heartbeat-interval=0"], "--heartbeat-interval must be >0 (set to 0ms)"),
        (["--election-timeout=0"], "--election-timeout must be >0 (set to 0ms)"),
        (
            ["--listen-client-urls=http://name:1", "--advertise-client-urls=http://name:1"],
            "expected IP in URL for binding (http://name:1)",
        ),
        (
            ["--listen-client-urls=https://127.0.0.1:1", "--advertise-client-urls=https://127.0.0.1:1"],
            "TLS key/cert (--cert-file, --key-file) must be provided for client url https://127.0.0.1:1 with HTTPS scheme",
        ),
        (
            ["--listen-peer-urls=https://127.0.0.1:1"],
            "TLS key/cert (--peer-cert-file, --peer-key-file) must be provided for peer url https://127.0.0.1:1 with HTTPS scheme",
        ),
        (
            ["--initial-cluster=a=http://a:1", "--discovery=http://x"],
            "multiple discovery or bootstrap flags are set. "
            'Choose one of "initial-cluster", "discovery", "discovery-endpoints" or "discovery-srv"',
        ),
        (["--auto-compaction-mode=foo"], 'unknown auto-compaction-mode "foo"'),
        (["--auto-compaction-retention=xx"], 'error parsing CompactionRetention: time: invalid duration "xx"'),
        (["--logger=capnslog"], 'unknown logger option "capnslog"'),
        (["--auth-token=foo"], "auth: invalid auth options"),
        (["--initial-cluster=foo"], "error setting up initial cluster: URL scheme must be http, https, unix, or unixs: "),
        (["--max-txn-ops=0"], "--max-txn-ops must be >0 (set to 0)"),
    ],
)
def test_failed_check_ends_with_status_1_and_etcds_words(arguments, fault):
    """The first of the reported faults is the one etcd would show."""
    assert faults(*arguments)[0] == fault


def test_all_failed_checks_are_reported_at_once():
    assert len(faults("--heartbeat-interval=300", "--auto-compaction-mode=foo", "--cert-file=x")) == 3


@pytest.mark.parametrize(
    "flag", ["--cert-file=x", "--client-cert-auth", "--peer-auto-tls", "--discovery-srv=x", "--force-new-cluster", "--host-whitelist=a"]
)
def test_flag_that_would_be_unsafe_to_ignore_is_refused(flag):
    """A port that was meant to be encrypted never opens in plain text."""
    assert faults(flag)[0].startswith(flag.partition("=")[0] + ": ")


def test_refused_flag_at_its_default_is_accepted():
    launch("--client-cert-auth=false", "--cert-file=", "--host-whitelist=*", "--auth-token=simple", "--proxy=off")


def test_flag_without_effect_is_named_in_a_warning():
    made = launch(
        "--bcrypt-cost=12",
        "--metrics=extensive",
        "--max-wals=5",
        "--feature-gates=LeaseCheckpoint=true,FastLeaseKeepAlive=true",
    )
    named = {fields.get("flag"): fields.get("value") for _, fields in warnings(made)}
    assert named == {"bcrypt-cost": "12", "metrics": "extensive", "feature-gates": "LeaseCheckpoint=true", None: None}
    assert set(made.member.extra) == {"bcrypt-cost", "metrics", "feature-gates"}


def test_origins_are_a_list():
    assert launch().member.cors == ("*",)
    assert launch("--cors=http://a:1,https://b").member.cors == ("http://a:1", "https://b")


def test_bad_level_ends_with_status_2_like_etcds_panic():
    stopped = stop("--log-level=foo")
    assert (stopped.status, stopped.stderr) == (2, 'panic: unknown level "foo"\n')


def test_environment_sets_flags_and_ours_comes_first():
    made = launch(ETCD_NAME="a", RAFTKV_NAME="b", ETCD_PRE_VOTE="false")
    assert (made.member.name, made.member.pre_vote) == ("b", False)


@pytest.mark.parametrize("key", ["ETCD_NAME", "RAFTKV_NAME"])
def test_flag_and_variable_both_set_is_fatal(key):
    stopped = stop("--name", "b", **{key: "a"})
    assert stopped.status == 1
    notice = stopped.notices[-1]
    assert notice.level == logging.CRITICAL
    assert notice.message.startswith("conflicting environment variable is shadowed by corresponding command-line flag")
    assert notice.fields["environment-variable"] == key


def test_unknown_variable_is_only_warned_about():
    made = launch(ETCD_NAMES="a", ETCDCTL_ENDPOINTS="x", ETCD_UNSUPPORTED_ARCH="arm", HOME="/")
    assert ("unrecognized environment variable", {"environment-variable": "ETCD_NAMES=a"}) in warnings(made)
    assert len([message for message, _ in warnings(made) if "unrecognized" in message]) == 1


def test_empty_variable_is_as_good_as_none():
    assert launch("--name=b", ETCD_NAME="").member.name == "b"


def test_bad_variable_is_named():
    assert faults(ETCD_HEARTBEAT_INTERVAL="a") == ['invalid value "a" for ETCD_HEARTBEAT_INTERVAL: parse error']


def test_advertised_peer_url_follows_a_member_that_listens_everywhere():
    made = launch("--name=n1", "--listen-peer-urls=http://0.0.0.0:22010").member
    assert made.initial_advertise_peer_urls == ("http://192.0.2.7:22010",)
    assert made.initial_cluster == (("n1", "http://192.0.2.7:22010"),)


@pytest.mark.parametrize("flag", ["-h", "--help", "-help"])
def test_help_names_every_flag_on_standard_output(flag):
    stopped = stop(flag)
    assert stopped.status == 0
    assert set(re.findall(r"^  --([a-z0-9-]+) ", stopped.stdout, re.M)) >= {
        name for name, flag in FLAGS.items() if flag.group != "Names of older releases"
    }
    assert "Examples:" in stopped.stdout


def test_version_has_etcds_four_lines():
    lines = stop("--version").stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["etcd Version", "Git SHA", "Go Version", "Go OS/Arch"]
    assert lines[0] == "etcd Version: 3.7.0"


class TestConfigurationFile:
    """`--config-file` replaces flags and environment."""

    def written(self, tmp_path, content) -> str:
        path = tmp_path / "etcd.conf"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    def test_file_replaces_flags_and_environment(self, tmp_path):
        path = self.written(
            tmp_path,
            {"name": "f", "heartbeat-interval": 50, "backend-batch-interval": 20_000_000, "pre-vote": False, "log-outputs": ["stdout"]},
        )
        made = launch("--config-file", path, "--name=b", ETCD_NAME="c")
        assert (made.member.name, made.member.heartbeat_interval_ms, made.member.pre_vote) == ("f", 50, False)
        assert made.member.backend_batch_interval_ms == 20
        assert made.logs.outputs == ("stdout",)
        assert made.notices[0].message.startswith("loaded server configuration")

    def test_file_may_be_named_by_a_variable(self, tmp_path):
        assert launch(ETCD_CONFIG_FILE=self.written(tmp_path, {"name": "f"})).member.name == "f"

    def test_tls_section_is_refused_like_its_flags(self, tmp_path):
        path = self.written(tmp_path, {"peer-transport-security": {"cert-file": "x", "client-cert-auth": True}})
        assert [fault.partition(":")[0] for fault in faults("--config-file", path)] == ["--peer-cert-file", "--peer-client-cert-auth"]

    def test_missing_file_is_named(self):
        assert faults("--config-file=/nonexistent/x") == ["open /nonexistent/x: no such file or directory"]

    def test_mistyped_key_is_warned_about(self, tmp_path):
        made = launch("--config-file", self.written(tmp_path, {"nmae": "f"}))
        assert ("unrecognized key in the configuration file", {"key": "nmae"}) in warnings(made)

    def test_file_that_is_no_mapping_is_refused(self, tmp_path):
        assert "must be one mapping" in faults("--config-file", self.written(tmp_path, [1]))[0]


def settings(**changes) -> MemberSettings:
    return dataclasses.replace(MemberSettings(), **changes)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"name": "zz"}, ['couldn\'t find local name "zz" in the initial cluster configuration']),
        (
            {"initial_cluster": (("default", "http://127.0.0.1:1"),), "initial_advertise_peer_urls": ("http://127.0.0.1:2",)},
            ["--initial-cluster has default=http://127.0.0.1:1 but missing from --initial-advertise-peer-urls=http://127.0.0.1:2"],
        ),
        (
            {"initial_cluster": (("default", "http://a:1"),), "initial_advertise_peer_urls": ("http://a:1", "http://a:2")},
            ["--initial-advertise-peer-urls has http://a:2 but missing from --initial-cluster=default=http://a:1,default=http://a:2"],
        ),
        (
            {"initial_cluster": (("n1", "http://a:1"), ("default", "http://a:1")), "initial_advertise_peer_urls": ("http://a:1",)},
            ["initial cluster default=http://a:1,n1=http://a:1 has duplicate url"],
        ),
        ({"initial_cluster_state": "existing", "initial_advertise_peer_urls": ("http://else:1",)}, []),
    ],
)
def test_bootstrap_checks_use_etcds_words(changes, found):
    """Asked only of a member without data; joining an existing cluster compares with its members instead."""
    assert config.bootstrap_faults(settings(**changes)) == found
