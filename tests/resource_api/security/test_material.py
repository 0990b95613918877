"""The server's files: what several servers with one folder make of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from raftkv.clock import SystemClock
from resource_api.security.certificates import serving_leaf
from resource_api.security.material import Paths, open_material


def test_servers_that_start_at_once_share_what_one_of_them_made(tmp_path):
    """One CA and one signing key: each takes the others' certificates and tokens."""
    paths = Paths(tmp_path / "pki")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: open_material(paths, SystemClock(), serving_leaf(service_ip="10.0.0.1")), range(4)))
    assert len({material.authority.pair.certificate_pem for material in found}) == 1
    assert len({material.signing_key.private_numbers() for material in found}) == 1


def test_folder_that_cannot_be_written_is_read(tmp_path):
    """A mounted secret: all is there, nothing is made."""
    paths = Paths(tmp_path / "pki")
    first = open_material(paths, SystemClock(), serving_leaf(service_ip="10.0.0.1"))
    paths.directory.chmod(0o500)
    try:
        again = open_material(paths, SystemClock(), serving_leaf(service_ip="10.0.0.1"))
    finally:
        paths.directory.chmod(0o700)
    assert again.authority.pair.certificate_pem == first.authority.pair.certificate_pem
