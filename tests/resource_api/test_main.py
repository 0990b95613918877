"""`python -m resource_api`: what ends before a server starts, and one life of a process."""

from __future__ import annotations

import json
import logging
import os
import pathlib
import signal
import stat
import subprocess
import sys
import urllib.request

import pytest

from resource_api.__main__ import LogLines, main
from tests.support.ports import free_port


def test_help_and_version_answer_at_once(capsys):
    """Status 0, every flag told."""
    assert main(["--help"]) == 0
    assert "--etcd-servers" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("Kubernetes v1.")


def test_wrong_flags_end_with_status_2(capsys):
    """Every fault named."""
    assert main(["--embeded=x"]) == 2
    said = capsys.readouterr().err
    assert "unknown flag: --embeded (did you mean --embedded?)" in said
    assert "exactly one of" in said


@pytest.mark.slow
def test_process_serves_and_stops_on_a_signal(tmp_path):
    """The kubeconfig is for its owner alone, the version is answered, it is no large process; SIGTERM ends it with status 0."""
    port, kubeconfig = free_port(), tmp_path / "kubeconfig"
    words = [sys.executable, "-m", "resource_api", "--embedded", str(tmp_path / "data"), "--secure-port", "0"]
    words += ["--insecure-port", str(port), "--write-kubeconfig", str(kubeconfig), "--profiling"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("resource_api: serving https://127.0.0.1:")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/version", timeout=60) as answer:
                assert json.load(answer)["major"] == "1"
            assert stat.S_IMODE(os.stat(kubeconfig).st_mode) == 0o600
            assert _memory_mb(process.pid) < 150
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert "--profiling is kube-apiserver's and has no effect here" in said


def _memory_mb(pid: int) -> float:
    """Resident."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no such process")


def test_log_line_tells_the_fields_of_its_record():
    """What failed stands in the fields; a line without them helps nobody."""
    record = logging.LogRecord("resource_api.store", logging.WARNING, "", 0, "not compacted", (), None)
    record.fields = {"error": "timed out", "revision": 7}
    assert (
        LogLines("%(levelname)s %(name)s: %(message)s").format(record)
        == "WARNING resource_api.store: not compacted error=timed out revision=7"
    )
