"""TLS: h2 by ALPN, client certificates, and the errors of files."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from raftkv.errors import ConfigError
from raftkv.transport import tls
from raftkv.transport.channel import Channel, RpcError
from tests.transport.conftest import Run
from tests.transport.pair import ECHO, KEEP
from tests.transport.wire import serving, settle, until


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A CA, a server's certificate, a client's, and one of a stranger's."""
    folder = tmp_path_factory.mktemp("tls")
    authority, stranger = trustme.CA(), trustme.CA()
    named = {
        "server": authority.issue_cert("localhost", "127.0.0.1"),
        "client": authority.issue_cert("client.test", common_name="alice"),
        "stranger": stranger.issue_cert("client.test", common_name="mallory"),
    }
    paths = {"ca": folder / "ca.pem"}
    authority.cert_pem.write_to_path(str(paths["ca"]))
    for name, certificate in named.items():
        paths[name], paths[f"{name}-key"] = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.cert_chain_pems[0].write_to_path(str(paths[name]))
        certificate.private_key_pem.write_to_path(str(paths[f"{name}-key"]))
    return paths


def server_side(files: dict[str, Path], **options: Any) -> ssl.SSLContext:
    return tls.server_context(cert_file=files["server"], key_file=files["server-key"], **options)


def test_call_over_tls_negotiates_h2(run_real: Run, files: dict[str, Path]) -> None:
    async def main() -> None:
        async with serving(ssl=server_side(files)) as running:
            channel = Channel(running.address, ssl=tls.client_context(trusted_ca_file=files["ca"]), server_hostname="localhost")
            await channel.connect()
            assert await channel.call(ECHO, b"x" * 100_000) == b"x" * 100_000
            chosen = channel._protocol._transport.get_extra_info("ssl_object")
            assert chosen.selected_alpn_protocol() == "h2" and chosen.version() in ("TLSv1.2", "TLSv1.3")
            channel.close()
            await settle()

    run_real(main())


def test_client_certificate_names_the_caller(run_real: Run, files: dict[str, Path]) -> None:
    async def main() -> None:
        context = server_side(files, trusted_ca_file=files["ca"], client_cert_auth=True)
        async with serving(ssl=context) as running:
            ours = tls.client_context(trusted_ca_file=files["ca"], cert_file=files["client"], key_file=files["client-key"])
            channel = Channel(running.address, ssl=ours, server_hostname="localhost")
            await channel.connect()
            channel.unary(KEEP, b"x", lambda body, error: None)
            await until(lambda: running.service.kept)
            assert running.service.kept[0][0].connection.tls_common_name == "alice"
            channel.close()
            await settle()

    run_real(main())


@pytest.mark.parametrize("who", ["nobody", "stranger"])
def test_client_without_a_trusted_certificate_is_refused(run_real: Run, files: dict[str, Path], who: str) -> None:
    async def main() -> None:
        context = server_side(files, trusted_ca_file=files["ca"], client_cert_auth=True)
        async with serving(ssl=context) as running:
            pair = {} if who == "nobody" else {"cert_file": files["stranger"], "key_file": files["stranger-key"]}
            channel = Channel(running.address, ssl=tls.client_context(trusted_ca_file=files["ca"], **pair), server_hostname="localhost")
            with pytest.raises(RpcError) as caught:
                await channel.connect()
            assert not caught.value.sent and running.service.kept == []
            await settle()

    run_real(main())


def test_server_the_client_does_not_trust_is_refused(run_real: Run, files: dict[str, Path]) -> None:
    async def main() -> None:
        async with serving(ssl=server_side(files)) as running:
            for context, name in ((tls.client_context(), "localhost"), (tls.client_context(trusted_ca_file=files["ca"]), "other.test")):
                with pytest.raises(RpcError, match="certificate verify failed") as caught:
                    await Channel(running.address, ssl=context, server_hostname=name).connect()
                assert not caught.value.sent
            channel = Channel(running.address, ssl=tls.client_context(insecure_skip_verify=True), server_hostname="other.test")
            await channel.connect()
            channel.close()
            await settle()

    run_real(main())


def test_old_tls_and_weak_ciphers_are_not_offered(files: dict[str, Path]) -> None:
    for context in (server_side(files), tls.client_context()):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert all("GCM" in cipher["name"] or "CHACHA20" in cipher["name"] for cipher in context.get_ciphers())


def test_files_that_do_not_serve_are_named(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing.pem"):
        tls.server_context(cert_file=tmp_path / "missing.pem", key_file=files["server-key"])
    with pytest.raises(ConfigError, match=r"client.key"):
        tls.server_context(cert_file=files["server"], key_file=files["client-key"])
    with pytest.raises(ConfigError, match="trusted-ca-file"):
        server_side(files, client_cert_auth=True)
    with pytest.raises(ConfigError, match="both"):
        tls.client_context(cert_file=files["client"])
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ConfigError, match=r"ca.pem"):
        tls.client_context(trusted_ca_file=tmp_path / "ca.pem")
