"""A local cluster's directory and ports: chosen once, kept for ever, held by one process."""

from __future__ import annotations

import json
import socket

import pytest

from raftkv.up.layout import FREE_PORTS, HOST, Place, UpError, free_ports, is_free, layout, locked

BASE = 22100


@pytest.fixture
def taken_port():
    """A port somebody listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_new_layout_uses_two_adjacent_ports_a_member(tmp_path):
    places = layout(tmp_path, 3, BASE)
    assert places == [Place("n1", BASE, BASE + 1), Place("n2", BASE + 2, BASE + 3), Place("n3", BASE + 4, BASE + 5)]
    assert places[0].client_url == f"http://127.0.0.1:{BASE}"


def test_layout_of_a_directory_never_changes(tmp_path):
    """Member ids come from the peer URLs: other ports would be other members."""
    first = layout(tmp_path, 3, BASE)
    assert layout(tmp_path, None, None) == first
    assert layout(tmp_path, 3, BASE) == first


def test_layout_is_written_whole_or_not_at_all(tmp_path):
    layout(tmp_path, 1, BASE)
    assert [path.name for path in tmp_path.iterdir()] == ["cluster.json"]
    assert json.loads((tmp_path / "cluster.json").read_text())[0]["name"] == "n1"


@pytest.mark.parametrize(
    ("members", "base", "text"), [(5, None, "holds a cluster of 3 members"), (None, BASE + 50, f"holds a cluster on port {BASE}")]
)
def test_layout_refuses_what_contradicts_the_directory(tmp_path, members, base, text):
    layout(tmp_path, 3, BASE)
    with pytest.raises(UpError, match=text):
        layout(tmp_path, members, base)


@pytest.mark.parametrize("content", ["", "{", "[]", '[{"name": "n1"}]', '{"n1": 1}'])
def test_layout_that_cannot_be_read_is_named(tmp_path, content):
    """Guessing other ports would make other members of the same data."""
    (tmp_path / "cluster.json").write_text(content)
    with pytest.raises(UpError, match="cluster.json"):
        layout(tmp_path, None, None)


def test_layout_names_the_port_that_is_taken(tmp_path, taken_port):
    with pytest.raises(UpError, match=f"in use: port {taken_port}"):
        layout(tmp_path, 1, taken_port)
    (tmp_path / "cluster.json").write_text(json.dumps([{"name": "n1", "client_port": taken_port, "peer_port": BASE}]))
    with pytest.raises(UpError, match=f"port {taken_port} of n1 is in use"):
        layout(tmp_path, None, None)


def test_layout_falls_back_to_free_ports(tmp_path, monkeypatch, capsys):
    """Somebody's etcd on 2379 does not keep a first try from working."""
    monkeypatch.setattr("raftkv.up.layout.is_free", lambda port: port not in (2379, 2380))
    places = layout(tmp_path, 3, None)
    ports = [port for place in places for port in (place.client_port, place.peer_port)]
    assert len(set(ports)) == 6
    assert 2379 not in ports
    assert "taking free ones" in capsys.readouterr().out


def test_layout_prefers_the_well_known_ports(tmp_path, monkeypatch):
    monkeypatch.setattr("raftkv.up.layout.is_free", lambda port: True)
    assert [(place.client_port, place.peer_port) for place in layout(tmp_path, 3, None)] == [(2379, 2380), (22379, 22380), (32379, 32380)]


def test_free_ports_are_different_and_free(taken_port):
    ports = free_ports(6)
    assert len(set(ports)) == 6
    assert all(map(is_free, ports))
    assert not is_free(taken_port)


def test_free_ports_are_none_that_clients_get(monkeypatch):
    """A layout keeps its ports: one of the range of outgoing connections would some day be taken at a start."""
    ports = set(free_ports(6))
    assert ports <= set(FREE_PORTS) and FREE_PORTS.stop <= 32_768
    monkeypatch.setattr("raftkv.up.layout.is_free", lambda port: port not in ports)
    assert not ports & set(free_ports(6))
    monkeypatch.setattr("raftkv.up.layout.is_free", lambda port: False)
    with pytest.raises(UpError, match="no 2 free ports between 23000 and 31999"):
        free_ports(2)


def test_directory_is_held_by_one_process(tmp_path):
    """Two runs over the same data would be two writers of every log."""
    folder = tmp_path / "deep" / "er"
    with locked(folder), pytest.raises(UpError, match="already"), locked(folder):
        pass
    with locked(folder):
        pass
