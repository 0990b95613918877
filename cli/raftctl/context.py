"""One run of raftctl: its global flags and environment, its client, its output.

The only module of raftctl that reads the environment. A global flag comes from the command line, else from `RAFTCTL_*`, else from
`ETCDCTL_*`; giving it both on the command line and in `ETCDCTL_*` is an error, as in etcdctl.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from raftctl import fault
from raftctl.flags import BOOL, DURATION, INT64, STRING, STRING_LIST, flag, read
from raftctl.go_text import format_duration

if TYPE_CHECKING:
    import ssl

    from raftctl.output import ClusterPrinter, Printer
    from raftkv.client import AsyncClient, Credentials

T = TypeVar("T")

GLOBAL_FLAGS = (
    flag("endpoints", STRING_LIST, ["127.0.0.1:2379"], "gRPC endpoints", shown="[127.0.0.1:2379]"),
    flag("write-out", STRING, "simple", "set the output format (fields, json, protobuf, simple, table)", short="w", shown='"simple"'),
    flag("hex", BOOL, False, "print byte strings as hex encoded strings"),
    flag("command-timeout", DURATION, 5.0, "timeout for short running command (excluding dial timeout)", shown="5s"),
    flag("dial-timeout", DURATION, 2.0, "dial timeout for client connections", shown="2s"),
    flag("keepalive-time", DURATION, 2.0, "keepalive time for client connections", shown="2s"),
    flag("keepalive-timeout", DURATION, 6.0, "keepalive timeout for client connections", shown="6s"),
    flag("max-request-bytes", INT64, 0, "client-side request send limit in bytes (0: the default)"),
    flag("max-recv-bytes", INT64, 0, "client-side response receive limit in bytes (0: the default)"),
    flag("cacert", STRING, "", "verify certificates of TLS-enabled secure servers using this CA bundle"),
    flag("cert", STRING, "", "identify secure client using this TLS certificate file"),
    flag("key", STRING, "", "identify secure client using this TLS key file"),
    flag("insecure-skip-tls-verify", BOOL, False, "skip server certificate verification (for testing only)"),
    flag("insecure-transport", BOOL, True, "disable transport security for client connections", shown="true"),
    flag("insecure-discovery", BOOL, True, "accept insecure SRV records describing cluster endpoints", shown="true"),
    flag("discovery-srv", STRING, "", "domain name to query for SRV records (refused: name the endpoints)", short="d"),
    flag("discovery-srv-name", STRING, "", "service name to query when using DNS discovery"),
    flag("user", STRING, "", "username[:password] for authentication (asks for the password if it is not given)"),
    flag("password", STRING, "", "password for authentication (then --user has none)"),
    flag("auth-jwt-token", STRING, "", "JWT token for authentication (then neither --user nor --password)"),
    flag("debug", BOOL, False, "print the settings and, on failure, a traceback"),
)
"""The flags every command takes: etcdctl's names, defaults and meanings."""

OUTPUT_LOST = "What was asked for has been done; only the output is lost."

OTHER_VARIABLES = frozenset(("API", "WATCH_KEY", "WATCH_RANGE_END"))
"""`ETCDCTL_*` that are no flags but mean something (or did)."""


SECRETS = frozenset(("password", "auth_jwt_token"))
"""Global flags whose values are never printed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The global flags' values. Times are seconds."""

    endpoints: list[str]
    write_out: str
    hex: bool
    command_timeout: float
    dial_timeout: float
    keepalive_time: float
    keepalive_timeout: float
    max_request_bytes: int
    max_recv_bytes: int
    cacert: str
    cert: str
    key: str
    insecure_skip_tls_verify: bool
    insecure_transport: bool
    insecure_discovery: bool
    discovery_srv: str
    discovery_srv_name: str
    user: str
    password: str
    auth_jwt_token: str
    debug: bool


def settle(given: Mapping[str, Any], environment: Mapping[str, str], warn: Callable[[str], None]) -> Settings:
    """The settings of a run.

    Args:
        given: the global flags of the command line, by parameter name.
        environment: the process's environment.
        warn: takes one line per `ETCDCTL_*` or `RAFTCTL_*` that means nothing.

    Raises:
        Fault: a flag given twice, or a wrong value in the environment.
    """
    values: dict[str, Any] = {}
    for option in GLOBAL_FLAGS:
        name = option.name
        assert name is not None
        variable = name.upper()
        ours, theirs = environment.get(f"RAFTCTL_{variable}"), environment.get(f"ETCDCTL_{variable}")
        if name in given:
            if theirs:
                raise fault.Fault(
                    fault.ERROR,
                    f'conflicting environment variable "ETCDCTL_{variable}" is shadowed by corresponding '
                    "command-line flag (either unset environment variable or disable flag)",
                )
            values[name] = given[name]
        elif ours or theirs:
            values[name] = read(option, ours or theirs or "")
        else:
            values[name] = option.default
    known = {f"{prefix}_{option.name.upper()}" for option in GLOBAL_FLAGS if option.name for prefix in ("RAFTCTL", "ETCDCTL")}
    known |= {f"ETCDCTL_{name}" for name in OTHER_VARIABLES}
    for variable in sorted(environment):
        if variable.startswith(("RAFTCTL_", "ETCDCTL_")) and variable not in known:
            warn(f"Warning: unrecognized environment variable {variable}={environment[variable]}")
    return Settings(**values)


def show_settings(settings: Settings) -> None:
    """Prints what `--debug` prints first: every global flag by its variable, in order, values as Go writes them. Secrets are left out."""
    for name in sorted(option.name for option in GLOBAL_FLAGS if option.name):
        value = getattr(settings, name)
        if name in SECRETS:
            value = "…" if value else ""
        elif name == "user":
            value = value.partition(":")[0]
        elif isinstance(value, bool):
            value = str(value).lower()
        elif isinstance(value, list):
            value = f"[{','.join(value)}]"
        elif isinstance(value, float):
            value = format_duration(value)
        print(f"ETCDCTL_{name.upper()}={value}", file=sys.stderr)


class Invocation:
    """What a command works with: settings, client, printer."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        self.given_here: set[str] = set()
        self.dash_at: int | None = None
        self.environment: Mapping[str, str] = os.environ
        self._settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        """The global flags, read once."""
        if self._settings is None:
            self._settings = settle(self.given, self.environment, lambda line: print(line, file=sys.stderr))
            if self._settings.debug:
                show_settings(self._settings)
        return self._settings

    @property
    def printer(self) -> Printer:
        """Writes results in the format asked for; take it before the call, so that a wrong format changes nothing.

        Raises:
            Fault: there is no such format, or not for data.
        """
        from raftctl.output import make_printer

        return make_printer(self.settings.write_out, hexadecimal=self.settings.hex)

    @property
    def cluster_printer(self) -> ClusterPrinter:
        """Writes what is said of members and endpoints.

        Raises:
            Fault: there is no such format.
        """
        from raftctl.output import make_cluster_printer

        return make_cluster_printer(self.settings.write_out, hexadecimal=self.settings.hex)

    def client(self, endpoints: list[str] | None = None, *, timeout_s: float | None | type = float) -> AsyncClient:
        """A client of the cluster.

        Args:
            endpoints: other ones than the settings'.
            timeout_s: another limit than --command-timeout; `None` for no limit.
        """
        from raftkv.client import AsyncClient
        from raftkv.errors import RequestError

        settings = self.settings
        if settings.discovery_srv:
            raise fault.Fault(fault.BAD_FEATURE, "--discovery-srv is not supported: name the endpoints with --endpoints")
        try:
            return AsyncClient(
                settings.endpoints if endpoints is None else endpoints,
                tls=self._tls(),
                credentials=self._credentials(),
                timeout_s=settings.command_timeout if timeout_s is float else timeout_s,  # type: ignore[arg-type]
                token=settings.auth_jwt_token or None,
                dial_timeout_s=settings.dial_timeout,
                keepalive_s=settings.keepalive_time,
                keepalive_timeout_s=settings.keepalive_timeout,
                require_leader=False,
            )
        except RequestError as exc:
            raise fault.Fault(fault.BAD_CONNECTION, str(exc)) from exc

    def _tls(self) -> ssl.SSLContext | None:
        settings = self.settings
        for name in ("cert", "key", "cacert"):
            if name in self.given and not self.given[name]:
                raise fault.Fault(fault.BAD_ARGUMENTS, f"empty string is passed to --{name} option")
        if not (settings.cert or settings.key or settings.cacert or not settings.insecure_transport):
            return None
        if bool(settings.cert) != bool(settings.key):
            text = f"KeyFile and CertFile must both be present[key: {settings.key}, cert: {settings.cert}]"
            raise fault.Fault(fault.BAD_ARGUMENTS, text)
        for path in filter(None, (settings.cacert, settings.cert, settings.key)):
            try:
                with open(path, "rb"):
                    pass
            except OSError as exc:
                raise fault.Fault(fault.BAD_ARGUMENTS, f"open {path}: {(exc.strerror or str(exc)).lower()}") from exc
        from raftkv.client import tls_context
        from raftkv.errors import ConfigError

        try:
            return tls_context(
                trusted_ca_file=settings.cacert or None,
                cert_file=settings.cert or None,
                key_file=settings.key or None,
                insecure_skip_verify=settings.insecure_skip_tls_verify,
            )
        except ConfigError as exc:
            raise fault.Fault(fault.BAD_ARGUMENTS, str(exc)) from exc

    def _credentials(self) -> Credentials | None:
        from raftkv.client import Credentials

        settings = self.settings
        if not settings.user:
            return None
        user, separator, password = settings.user.partition(":")
        if settings.password:
            return Credentials(settings.user, settings.password)
        if not separator:
            password = ask_password()
        return Credentials(user, password)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs a command's asynchronous part to its end."""
        import asyncio

        return asyncio.run(coroutine)

    def call(self, action: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> T:
        """Runs one action with a client that is closed after it."""
        client = self.client()

        async def body() -> T:
            async with client:
                return await action(client)

        return self.run(body())


def ask_password() -> str:
    """A password from the terminal, unseen; else, as etcdctl does, the next line of standard input, which may be none."""
    if sys.stdin.isatty():
        import getpass

        try:
            return getpass.getpass("Password: ")
        except EOFError:
            return ""
    write(b"Password: ")
    line: bytes = sys.stdin.buffer.readline()
    write(b"\n")
    return line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")


def write(data: bytes) -> None:
    """Writes to standard output at once; keys and values are bytes, whatever the terminal's encoding.

    Raises:
        BrokenPipeError: the reader is gone.
        Fault: the output cannot be written. etcdctl ends with status 0 then, and a script takes half an answer for a whole one.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise fault.Fault(fault.IO_ERROR, f"write /dev/stdout: {(exc.strerror or str(exc)).lower()}", OUTPUT_LOST) from exc
