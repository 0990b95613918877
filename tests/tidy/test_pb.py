"""The message classes: they match proto/, and they live beside every other etcd client in one process."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

from tests.tidy.source import ROOT

OLDEST = "3.20.3"
OLDEST_FOLDER = pathlib.Path(sys.prefix) / f"protobuf-{OLDEST}"
"""Where `make dev` puts the oldest protobuf that is supported, when the package index can be reached."""

CLIENTS = {"aetcd": "aetcd", "etcd3gw": "etcd3gw", "etcd-sdk-python": "pyetcd"}
"""Distribution -> module. Each registers etcd's messages in protobuf's global pool, or brings a library that does."""

OURS = "import raftkv.pb.rpc as rpc; assert rpc.PutRequest.FromString(rpc.PutRequest(key=b'k').SerializeToString()).key == b'k'"


def run_python(code: str, protobuf: str) -> subprocess.CompletedProcess[str]:
    """Runs the code in a fresh interpreter, with the installed protobuf or the one in OLDEST_FOLDER."""
    path = [str(ROOT), *([str(OLDEST_FOLDER)] if protobuf == OLDEST else [])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONWARNINGS": "ignore"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60, check=False)


@pytest.fixture(params=["installed", OLDEST])
def protobuf(request) -> str:
    """Which protobuf the fresh process finds first."""
    if request.param == OLDEST and not (OLDEST_FOLDER / "google").is_dir():
        pytest.skip(f"not available: {OLDEST_FOLDER} does not exist; `make dev` makes it where the package index can be reached")
    return request.param


@pytest.mark.slow
def test_messages_match_proto_files():
    """Descriptor set and stubs are what `make proto` would write."""
    if importlib.util.find_spec("grpc_tools") is None:
        pytest.skip("not available: grpcio-tools is not installed")
    done = subprocess.run(
        [sys.executable, "tools/build_pb.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_messages_work_with_protobuf(protobuf):
    """Every module of raftkv.pb imports and round-trips, with the oldest supported protobuf too."""
    modules = sorted(path.stem for path in (ROOT / "raftkv" / "pb").glob("*.py") if path.stem != "__init__")
    done = run_python(
        "import google.protobuf as p; "
        + (f"assert p.__version__ == {OLDEST!r}, p.__version__; " if protobuf == OLDEST else "")
        + "".join(f"import raftkv.pb.{name}; " for name in modules)
        + OURS,
        protobuf,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("distribution", CLIENTS)
@pytest.mark.parametrize("order", ["raftkv first", "raftkv last"])
def test_messages_import_beside_another_client(protobuf, distribution, order):
    """Two clients that share protobuf's global pool crash at the second import; raftkv never does, in either order."""
    module = CLIENTS[distribution]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"not available: {distribution} is not installed")
    theirs = f"import {module}"
    code = f"{OURS}; {theirs}" if order == "raftkv first" else f"{theirs}; {OURS}"
    done = run_python(code, protobuf)
    if done.returncode != 0:
        alone = run_python(theirs, protobuf)
        if alone.returncode != 0:
            pytest.skip(f"not available: {distribution} alone does not import with this protobuf: {alone.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
