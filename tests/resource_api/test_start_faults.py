"""What an operator is told when a server cannot start: one line with cause and advice; a traceback for faults of ours alone."""

from __future__ import annotations

import errno
import pathlib
import socket
import subprocess
import sys

import pytest

from resource_api.config import parse
from resource_api.errors import too_many_requests
from resource_api.registry.store import StoreUnavailableError
from resource_api.security.files import FileContentError, content_of
from resource_api.start_faults import explain

CONFIG = parse(["--etcd-servers=http://10.0.0.9:2379", "--cert-dir=/etc/pki/api", "--token-auth-file=/etc/tokens.csv"])[0]


def test_missing_file_names_its_flag():
    """Also when what is missing is a folder above it."""
    error = FileNotFoundError(errno.ENOENT, "No such file or directory", "/etc/tokens.csv")
    assert explain(error, CONFIG).endswith("or change --token-auth-file")
    assert explain(FileNotFoundError(errno.ENOENT, "No such file or directory", "/etc/pki"), CONFIG).endswith("--cert-dir")


def test_damaged_file_names_itself():
    """Whatever the reader of its content says."""
    with pytest.raises(FileContentError) as caught, content_of("/etc/tokens.csv"):
        raise ValueError("line 1\nis bad")
    said = explain(caught.value, CONFIG)
    assert said == "/etc/tokens.csv: line 1 is bad; mend the file, or name another with --token-auth-file"


def test_store_that_does_not_answer_is_told_with_its_flag():
    """Whether a request of the start or the store itself has failed; in a group too."""
    for error in (StoreUnavailableError("x"), too_many_requests("x", 1), ExceptionGroup("both", [StoreUnavailableError("x")])):
        assert explain(error, CONFIG).startswith("the store does not answer: x;")
        assert explain(error, CONFIG).endswith("--etcd-servers=http://10.0.0.9:2379")


@pytest.mark.parametrize("error", [AssertionError("x"), TypeError("x"), ValueError("x"), KeyError("x")])
def test_fault_of_ours_has_no_advice(error):
    """Not even beside one of the operator's."""
    assert not explain(error, CONFIG)
    assert not explain(ExceptionGroup("both", [StoreUnavailableError("x"), error]), CONFIG)


@pytest.mark.slow
def test_process_that_finds_its_port_in_use_says_so_on_the_last_line(tmp_path: pathlib.Path):
    """Status 1, one line, nothing of controllers that complain while it ends."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = [sys.executable, "-m", "resource_api", "--embedded", str(tmp_path / "data"), "--secure-port", str(port)]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert f"the API server cannot start: cannot listen on 127.0.0.1:{port}: Address already in use; end what listens there" in line
