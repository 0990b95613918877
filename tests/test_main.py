"""The process: what it refuses, how it ends, and with which status."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from raftkv import __main__ as entry
from tests.support.ports import free_port


def run(*arguments: str, python: tuple[str, ...] = (), **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("ETCD_", "RAFTKV_"))}
    return subprocess.run(
        [sys.executable, *python, "-m", "raftkv", *arguments], capture_output=True, text=True, timeout=60, check=False, env=clean | environ
    )


@pytest.mark.slow
class TestRefusals:
    """Whatever keeps a member from starting is said in one place, with etcd's exit status."""

    def test_optimised_python_is_refused(self):
        """Without assertions the guards of our own reasoning are gone."""
        done = run(python=("-O",))
        assert done.returncode == 1
        assert "python -O" in done.stderr

    @pytest.mark.parametrize("command", ["version", "--version"])
    def test_version_is_printed_in_etcds_form(self, command):
        done = run(command)
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, "etcd Version: 3.7.0")

    def test_wrong_flag_ends_with_status_2(self):
        for words in (["--nosuch"], ["server", "--nosuch"]):
            done = run(*words)
            assert (done.returncode, done.stderr.splitlines()[0]) == (2, "flag provided but not defined: -nosuch")

    def test_failed_check_is_one_log_line_and_status_1(self):
        done = run("server", "--heartbeat-interval=300")
        entry_line = json.loads(done.stderr.splitlines()[-1])
        assert done.returncode == 1
        assert (entry_line["level"], entry_line["msg"]) == ("warn", "failed to verify flags")
        assert entry_line["error"].startswith("--election-timeout[1000ms]")

    def test_cluster_without_the_members_own_name_is_fatal(self, tmp_path):
        done = run("--name=zz", f"--data-dir={tmp_path}", "--initial-cluster=n1=http://127.0.0.1:1")
        entry_line = json.loads(done.stderr.splitlines()[-1])
        assert (done.returncode, entry_line["level"]) == (1, "fatal")
        assert entry_line["error"] == 'couldn\'t find local name "zz" in the initial cluster configuration'

    def test_flag_and_variable_both_set_is_fatal(self):
        done = run("--name=a", ETCD_NAME="b")
        assert (done.returncode, json.loads(done.stderr.splitlines()[-1])["environment-variable"]) == (1, "ETCD_NAME")

    def test_commands_that_do_not_exist_here_say_so(self):
        done = run("grpc-proxy", "start")
        assert done.returncode == 2
        assert "not part of raftkv" in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[Errno 98] error while attempting to bind on address ('127.0.0.1', 2379): address already in use", "127.0.0.1:2379"),
        ("listen tcp 127.0.0.1:2379: bind: error while attempting to bind", "127.0.0.1:2379"),
    ],
)
def test_taken_port_is_told_in_gos_words(text, told):
    """Scripts look for the text, not for the number."""
    assert entry.listen_fault(OSError(errno.EADDRINUSE, text)) == f"listen tcp {told}: bind: address already in use"
    assert entry.listen_fault(OSError(errno.ENOSPC, text)) == ""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError(errno.EACCES, "Permission denied", "/data/member/wal"), "/data/member/wal: Permission denied"),
        (
            OSError(errno.EIO, "/data/member/snap/db: Input/output error", "/data/member/snap/db"),
            "/data/member/snap/db: Input/output error",
        ),
    ],
)
def test_what_the_system_refused_is_told_in_one_line(error, told):
    """A path and a reason; a traceback would hide both."""
    assert entry.system_fault(error) == told


def test_signal_ends_pid_1_with_status_0(monkeypatch):
    """As pid 1 the default action of a signal is to do nothing."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert entry.end_by_signal(signal.SIGTERM) == 0


STAND_IN = """
import asyncio, contextlib, sys
import raftkv.embedded, raftkv.__main__
from raftkv.errors import ConfigError, CorruptionError

class Member:
    def describe(self):
        return "state"

    async def stop(self, *, drain):
        print("draining", flush=True)
        await asyncio.sleep(3600)

@contextlib.asynccontextmanager
async def running_member(settings):
    {entering}
    print("serving", flush=True)
    yield Member()

raftkv.embedded.running_member = running_member
sys.exit(raftkv.__main__.main(["--data-dir=/nonexistent/never-made"]))
"""


def stand_in(entering: str = "pass") -> subprocess.Popen[str]:
    """The process around a member that enters as told and never finishes its drain."""
    code = STAND_IN.format(entering=entering)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
class TestProcess:
    """What the process does around its member, whatever the member does."""

    def test_second_signal_ends_the_drain_at_once(self):
        process = stand_in()
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "draining\n"
        process.send_signal(signal.SIGINT)
        _, log_lines = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGINT
        assert "received a second signal" in log_lines.splitlines()[-1]

    def test_signal_while_starting_ends_the_start(self):
        process = stand_in("print('entering', flush=True); await asyncio.sleep(3600)")
        assert process.stdout is not None
        assert process.stdout.readline() == "entering\n"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGTERM

    @pytest.mark.parametrize(
        ("error", "status", "message", "text"),
        [
            ("ConfigError('why')", 1, "failed to start etcd", "why"),
            ("ExceptionGroup('g', [CorruptionError('where')])", 1, "failed to start etcd", "where"),
            ("AssertionError('bug')", 2, "failed to start etcd", "bug"),
        ],
    )
    def test_failed_start_is_one_fatal_line(self, error, status, message, text):
        process = stand_in(f"raise {error}")
        _, log_lines = process.communicate(timeout=60)
        fatal = [entry_line for entry_line in map(json.loads, log_lines.splitlines()) if entry_line["level"] == "fatal"]
        assert process.returncode == status
        assert [(entry_line["msg"], entry_line["error"]) for entry_line in fatal] == [(message, text)]


def member_command(tmp_path, *, client_port: int = 0) -> list[str]:
    client, peer = f"http://127.0.0.1:{client_port or free_port()}", f"http://127.0.0.1:{free_port()}"
    return [
        *(sys.executable, "-m", "raftkv", "server", "--name=n1", f"--data-dir={tmp_path / 'data'}", f"--initial-cluster=n1={peer}"),
        *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
        *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"),
    ]


def started(tmp_path) -> subprocess.Popen[str]:
    """A member that said it is ready; its remaining log can be read from stderr."""
    process = subprocess.Popen(member_command(tmp_path), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if json.loads(line)["msg"] == "ready to serve client requests":
            return process
    process.wait(timeout=60)
    raise AssertionError(f"ended with {process.returncode} before it was ready")


@pytest.mark.slow
class TestSignals:
    """A member ends in order, and its parent sees the signal that ended it."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_signal_stops_in_order_and_is_raised_again(self, tmp_path, number):
        process = started(tmp_path)
        process.send_signal(number)
        _, rest = process.communicate(timeout=60)
        messages = [json.loads(line)["msg"] for line in rest.splitlines()]
        assert process.returncode == -number
        assert "received signal; shutting down" in messages
        assert messages[-1] == "stopped"

    def test_member_starts_again_on_its_data(self, tmp_path):
        for _ in range(2):
            process = started(tmp_path)
            process.terminate()
            process.communicate(timeout=60)
            assert process.returncode == -signal.SIGTERM

    def test_dump_signal_writes_the_state_and_ends_nothing(self, tmp_path):
        process = started(tmp_path)
        try:
            process.send_signal(signal.SIGUSR1)
            assert process.stderr is not None
            dumped = next(line for line in process.stderr if not line.startswith("{"))
            assert dumped.strip()
            assert process.poll() is None
        finally:
            process.terminate()
            process.communicate(timeout=60)

    def test_taken_port_is_one_fatal_line(self, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            done = subprocess.run(member_command(tmp_path, client_port=port), capture_output=True, text=True, timeout=60, check=False)
        fatal = [entry_line for entry_line in map(json.loads, done.stderr.splitlines()) if entry_line["level"] == "fatal"]
        assert done.returncode == 1
        assert [entry_line["error"] for entry_line in fatal] == [f"listen tcp 127.0.0.1:{port}: bind: address already in use"]
