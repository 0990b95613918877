"""What the server is told: one frozen record, read from kube-apiserver's flags and a few of our own.

Nobody else reads flags or the environment. A flag of kube-apiserver's that means nothing here is accepted with a warning; a word that is
no flag anywhere ends the start, with the nearest one named. All faults are told at once.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from resource_api.config_flags import SWITCHES, TOLERATED
from resource_api.schema.times import parse_duration_s


class ConfigError(ValueError):
    """The flags do not describe a server that can be run; the text names every fault."""


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Everything an API server is told; each field is the flag of its name. Paths are as given, lists are comma-separated in flags."""

    etcd_servers: tuple[str, ...] = ()
    """URLs of the store; any etcd v3. Needed unless --embedded is given."""
    etcd_cafile: str = ""
    """CA that signed the store's certificate."""
    etcd_certfile: str = ""
    """Client certificate for the store."""
    etcd_keyfile: str = ""
    """Its key."""
    etcd_prefix: str = "/registry"
    """What all keys begin with."""
    etcd_compaction_interval_s: float = 300.0
    """How often the store's history is given up; what is younger than this can be read. 0: never."""
    embedded: str = ""
    """Data directory of a member run inside this process instead of --etcd-servers."""

    bind_address: str = "127.0.0.1"
    """Address of the HTTPS port. Upstream's default is every interface; a server without a network of its own stays on loopback."""
    secure_port: int = 6443
    """HTTPS port; 0 takes a free one."""
    advertise_address: str = ""
    """Address clients are told, that of --bind-address when empty."""
    insecure_port: int = -1
    """Plain HTTP port on 127.0.0.1; -1 (the default): none, 0: a free one. Same authentication; Host must be a loopback name."""
    cert_dir: str = ""
    """Where a self-made CA, serving certificate and keys are kept; under the embedded member's directory when empty."""
    tls_cert_file: str = ""
    """Serving certificate, made when empty."""
    tls_private_key_file: str = ""
    """Its key."""
    write_kubeconfig: str = ""
    """Where the administrator's kubeconfig goes, mode 0600."""

    client_ca_file: str = ""
    """CA of client certificates."""
    token_auth_file: str = ""
    """CSV of bearer tokens: token,user,uid,"group1,group2"."""
    anonymous_auth: bool = True
    """Requests without credentials are `system:anonymous`."""
    authorization_mode: tuple[str, ...] = ("RBAC",)
    """Of Node, RBAC, AlwaysAllow, AlwaysDeny, in order."""
    service_account_issuer: tuple[str, ...] = ("https://kubernetes.default.svc.cluster.local",)
    """Issuers of service-account tokens; the first signs."""
    service_account_key_file: tuple[str, ...] = ()
    """Public keys that verify service-account tokens."""
    service_account_signing_key_file: str = ""
    """The key that signs them, made when empty."""
    service_account_extend_token_expiration: bool = True
    """Tokens that pods mount live longer than they say, with a warning when they are used past it."""
    service_account_lookup: bool = True
    """Tokens of deleted accounts are refused."""
    service_account_max_token_expiration_s: float = 0.0
    """Longest life of a token asked for; 0: no limit."""
    requestheader_client_ca_file: str = ""
    """CA of the proxies that may say who asks."""
    requestheader_allowed_names: tuple[str, ...] = ()
    """Common names such a proxy may have; any when empty."""
    requestheader_username_headers: tuple[str, ...] = ("X-Remote-User",)
    """Headers with the name."""
    requestheader_group_headers: tuple[str, ...] = ("X-Remote-Group",)
    """Headers with groups."""
    requestheader_uid_headers: tuple[str, ...] = ("X-Remote-Uid",)
    """Headers with the uid."""
    requestheader_extra_headers_prefix: tuple[str, ...] = ("X-Remote-Extra-",)
    """Prefixes of headers with extra information."""
    api_audiences: tuple[str, ...] = ()
    """Audiences tokens are for; the issuer when empty."""

    enable_admission_plugins: tuple[str, ...] = ()
    """Besides those that are on by default."""
    disable_admission_plugins: tuple[str, ...] = ()
    """Of those that are on by default."""
    service_cluster_ip_range: tuple[str, ...] = ("10.0.0.0/24",)
    """Networks of cluster IPs: one, or one of each family."""
    service_node_port_range: str = "30000-32767"
    """First and last node port."""
    event_ttl_s: float = 3600.0
    """Life of events, s (`--event-ttl`)."""

    request_timeout_s: float = 60.0
    """Longest request that is no watch."""
    max_requests_inflight: int = 400
    """Reading requests at once; 0: no limit."""
    max_mutating_requests_inflight: int = 200
    """Changing requests at once; 0: no limit."""
    shutdown_delay_duration_s: float = 0.0
    """How long the server goes on serving, not ready, after it was told to stop."""
    verbosity: int = 0
    """`--v`: 0 tells warnings and worse, 2 what happens, 4 and more everything."""

    def validate(self) -> list[str]:
        """Every fault, as sentences."""
        faults: list[str] = []
        if bool(self.etcd_servers) == bool(self.embedded):
            faults.append("exactly one of --etcd-servers and --embedded must be given")
        if bool(self.etcd_certfile) != bool(self.etcd_keyfile):
            faults.append("--etcd-certfile and --etcd-keyfile go together")
        if bool(self.tls_cert_file) != bool(self.tls_private_key_file):
            faults.append("--tls-cert-file and --tls-private-key-file go together")
        for name, port, lowest in (("secure", self.secure_port, 0), ("insecure", self.insecure_port, -1)):
            if not lowest <= port <= 65535:
                faults.append(f"--{name}-port {port} is no port")
        for mode in self.authorization_mode:
            if mode not in ("Node", "RBAC", "AlwaysAllow", "AlwaysDeny"):
                faults.append(f"--authorization-mode: {mode!r} is none of Node, RBAC, AlwaysAllow, AlwaysDeny")
        if not self.authorization_mode:
            faults.append("--authorization-mode: at least one mode must be passed")
        faults += _network_faults(self.service_cluster_ip_range)
        if _port_range(self.service_node_port_range) is None:
            faults.append(f"--service-node-port-range: {self.service_node_port_range!r} is no range of ports")
        if self.request_timeout_s <= 0:
            faults.append("--request-timeout must be above zero")
        if self.event_ttl_s < 0 or self.shutdown_delay_duration_s < 0:
            faults.append("--event-ttl and --shutdown-delay-duration cannot be negative")
        if self.etcd_compaction_interval_s < 0:
            faults.append("--etcd-compaction-interval cannot be negative")
        if self.max_requests_inflight < 0 or self.max_mutating_requests_inflight < 0:
            faults.append("--max-requests-inflight and --max-mutating-requests-inflight cannot be negative")
        return faults

    @property
    def node_ports(self) -> range:
        """The range of node ports."""
        found = _port_range(self.service_node_port_range)
        assert found is not None, "validate() comes first"
        return found


def _network_faults(networks: tuple[str, ...]) -> list[str]:
    faults = []
    for text in networks:
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            faults.append(f"--service-cluster-ip-range: {error}")
    return faults if networks else ["--service-cluster-ip-range: a network is needed"]


def _port_range(text: str) -> range | None:
    first, _, last = text.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal():
        return None
    ports = range(int(first), int(last or first) + 1)
    return ports if ports and ports[0] > 0 and ports[-1] <= 65535 else None


OURS = {"verbosity": "v"}
"""Fields whose flag has another name."""


def _flag_of(name: str) -> str:
    if name in OURS:
        return OURS[name]
    return name.removesuffix("_s").replace("_", "-")


def _read_bool(text: str) -> bool:
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def _read_seconds(text: str) -> float:
    if text.isdecimal():
        return float(text)
    seconds = parse_duration_s(text)
    if seconds is None:
        raise ValueError(f"{text!r} is no duration")
    return seconds


def _read_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_READERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "bool": _read_bool,
    "float": _read_seconds,
    "tuple[str, ...]": _read_list,
}

FLAGS = {_flag_of(field.name): field for field in fields(ApiConfig)}

REPEATABLE = frozenset({"service-account-issuer", "service-account-key-file"})
"""Given several times they add up."""


def parse(arguments: Sequence[str]) -> tuple[ApiConfig, list[str]]:
    """The configuration and what to warn of. Raises ConfigError with every fault."""
    values: dict[str, Any] = {}
    warnings: list[str] = []
    faults: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if not word.startswith("--") or word == "--":
            faults.append(f"unexpected argument {word!r}")
            continue
        name, equals, text = word[2:].partition("=")
        name = name.replace("_", "-")
        if name not in FLAGS and name not in TOLERATED:
            near = difflib.get_close_matches(name, [*FLAGS, *TOLERATED], 1)
            faults.append(f"unknown flag: --{name}" + (f" (did you mean --{near[0]}?)" if near else ""))
            continue
        is_switch = name in SWITCHES or (name in FLAGS and FLAGS[name].type == "bool")
        if not equals and not is_switch:
            if not words:
                faults.append(f"flag needs an argument: --{name}")
                continue
            text = words.pop(0)
        if name in TOLERATED:
            warnings.append(f"--{name} is kube-apiserver's and has no effect here")
            continue
        field = FLAGS[name]
        try:
            value = _READERS[str(field.type)](text if equals or not is_switch else "true")
        except ValueError as error:
            faults.append(f"invalid argument {text!r} for --{name}: {error}")
            continue
        values[field.name] = values[field.name] + value if name in REPEATABLE and field.name in values else value
    config = ApiConfig(**values)
    faults += config.validate()
    if faults:
        raise ConfigError("; ".join(faults))
    return config, warnings


EXAMPLES = """\
Usage: python -m resource_api [flags]

A Kubernetes API server over an etcd v3 store. It prints a line when it serves; SIGTERM ends it in order.

  # A server with a store of its own in ./data, and an administrator's kubeconfig for kubectl:
  python -m resource_api --embedded=data --write-kubeconfig=kubeconfig
  kubectl --kubeconfig=kubeconfig get namespaces

  # Over the members that `raftkv up` starts; several servers may share one store and one folder of certificates:
  python -m resource_api --etcd-servers=http://127.0.0.1:2379,http://127.0.0.1:22379 --cert-dir=certs --write-kubeconfig=kubeconfig

  # Over an etcd with TLS:
  python -m resource_api --etcd-servers=https://etcd:2379 --etcd-cafile=ca.crt --etcd-certfile=client.crt --etcd-keyfile=client.key

  # For tests: any free port, no permissions asked, plain HTTP for this machine's programs besides:
  python -m resource_api --embedded=data --secure-port=0 --insecure-port=0 --authorization-mode=AlwaysAllow\
"""


def usage() -> str:
    """The help text: every flag with its meaning and default."""
    lines = [*EXAMPLES.splitlines(), "", "Flags (kube-apiserver's names; its other flags are accepted and ignored):"]
    described = _descriptions()
    for flag, field in FLAGS.items():
        default = field.default
        shown = ",".join(default) if isinstance(default, tuple) else f"{default:g}s" if isinstance(default, float) else default
        lines.append(f"  --{flag} (default {shown!r})" if shown not in ("", ()) else f"  --{flag}")
        lines.append(f"        {described.get(field.name, '')}")
    return "\n".join(lines) + "\n"


def _descriptions() -> dict[str, str]:
    """The fields' docstrings, which only the source has."""
    import ast
    import inspect
    import textwrap

    tree = ast.parse(textwrap.dedent(inspect.getsource(ApiConfig))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, str] = {}
    for node, after in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            assert isinstance(node.target, ast.Name)
            found[node.target.id] = " ".join(str(after.value.value).split())
    return found
