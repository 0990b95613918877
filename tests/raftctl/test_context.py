"""Where settings come from."""

from __future__ import annotations

import io

import pytest
from raftctl.context import Invocation, ask_password, settle, show_settings
from raftctl.fault import Fault


def settled(given=None, **environment):
    """The settings and the warnings."""
    warnings = []
    return settle(given or {}, environment, warnings.append), warnings


def test_defaults_are_etcdctls():
    """Scripts rely on them."""
    settings, warnings = settled()
    assert (settings.endpoints, settings.write_out, settings.command_timeout, settings.dial_timeout) == (["127.0.0.1:2379"], "simple", 5, 2)
    assert (settings.keepalive_time, settings.keepalive_timeout, settings.insecure_transport, settings.hex) == (2, 6, True, False)
    assert not warnings


def test_environment_fills_what_the_command_line_leaves_out():
    """Every flag has its variable; ours come first."""
    settings, _ = settled(ETCDCTL_ENDPOINTS="a:1,b:2", ETCDCTL_COMMAND_TIMEOUT="90s", ETCDCTL_HEX="true", ETCDCTL_USER="u:p")
    assert (settings.endpoints, settings.command_timeout, settings.hex, settings.user) == (["a:1", "b:2"], 90, True, "u:p")
    settings, _ = settled(ETCDCTL_ENDPOINTS="a:1", RAFTCTL_ENDPOINTS="c:3")
    assert settings.endpoints == ["c:3"]


def test_flag_beside_etcdctl_variable_is_an_error_and_beside_ours_wins():
    """etcdctl refuses to guess; for our own variables the command line simply comes first."""
    with pytest.raises(Fault, match="conflicting environment variable .ETCDCTL_WRITE_OUT.") as caught:
        settled({"write_out": "json"}, ETCDCTL_WRITE_OUT="json")
    assert caught.value.status == 1
    assert settled({"write_out": "json"}, RAFTCTL_WRITE_OUT="table")[0].write_out == "json"


def test_variables_that_mean_nothing_are_named():
    """A typing error in a variable would else go unseen; those that etcdctl knows are no errors."""
    _, warnings = settled(ETCDCTL_ENPOINTS="x", ETCDCTL_API="3", ETCDCTL_WATCH_KEY="k", RAFTCTL_X="y", PATH="/bin")
    assert warnings == [
        "Warning: unrecognized environment variable ETCDCTL_ENPOINTS=x",
        "Warning: unrecognized environment variable RAFTCTL_X=y",
    ]


def test_wrong_value_in_the_environment_is_refused():
    """etcdctl goes on with the default, which is not what was asked for."""
    with pytest.raises(Fault, match="time: invalid duration"):
        settled(ETCDCTL_DIAL_TIMEOUT="soon")


@pytest.mark.parametrize(
    ("given", "status", "text"),
    [
        ({"cacert": ""}, 128, "empty string is passed to --cacert option"),
        ({"cacert": "/nonexistent"}, 128, "open /nonexistent: no such file or directory"),
        ({"cert": __file__, "key": __file__}, 128, "cannot use"),
        ({"cert": "x"}, 128, r"^KeyFile and CertFile must both be present\[key: , cert: x\]$"),
        ({"key": "y"}, 128, r"^KeyFile and CertFile must both be present\[key: y, cert: \]$"),
        ({"discovery_srv": "example.org"}, 4, "name the endpoints"),
        ({"endpoints": []}, 2, "no available endpoints"),
    ],
)
def test_connection_settings_that_cannot_work_end_the_command(given, status, text):
    """Before anything is sent."""
    invocation = Invocation()
    invocation.environment = {}
    invocation.given = given
    with pytest.raises(Fault, match=text) as caught:
        invocation.client()
    assert caught.value.status == status


def test_debug_shows_every_setting_but_no_secret(capsys):
    """As etcdctl does: by variable, in order, with Go's values."""
    given = {"endpoints": ["a:1", "b:2"], "debug": True, "password": "hidden", "user": "me:hidden", "command_timeout": 1.5}
    show_settings(settled(given)[0])
    shown = capsys.readouterr().err
    lines = shown.splitlines()
    assert lines == sorted(lines)
    assert {"ETCDCTL_ENDPOINTS=[a:1,b:2]", "ETCDCTL_DEBUG=true", "ETCDCTL_COMMAND_TIMEOUT=1.5s", "ETCDCTL_DIAL_TIMEOUT=2s"} <= set(lines)
    assert {"ETCDCTL_HEX=false", "ETCDCTL_WRITE_OUT=simple", "ETCDCTL_USER=me", "ETCDCTL_PASSWORD=…", "ETCDCTL_CERT="} <= set(lines)
    assert "hidden" not in shown


@pytest.mark.parametrize(("given", "password"), [(b"secret\nrest", "secret"), (b"", "")])
def test_password_without_a_terminal_is_a_line_of_standard_input(given, password, monkeypatch):
    """etcdctl asks all the same, and takes an empty one from an empty input."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(shown := io.BytesIO()))
    assert ask_password() == password
    assert shown.getvalue() == b"Password: \n"
