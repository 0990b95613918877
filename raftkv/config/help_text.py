"""What `raftkv -h` prints: made from the table, so that it cannot lag behind."""

from __future__ import annotations

from raftkv.config.flag_table import FLAGS, OLDER_GROUP
from raftkv.config.flags import Flag, Use

USAGE_TEXT = """\
Usage:

  raftkv [server] [flags]
    Start a member; without any flag, a cluster of one on the default ports.

  raftkv up [--members N] [--data-dir DIR] [--base-port PORT]
    Start a local cluster, one process for each member, and stop it with Ctrl-C.

  raftkv version | raftkv --version
    Show the version.

  raftkv -h | --help
    Show every flag.

  raftkv --config-file FILE
    Read the settings from a file of flag names and values; flags and environment variables are ignored then.

Every flag can be given as -flag value, --flag=value, or as a variable RAFTKV_FLAG or ETCD_FLAG.
"""

_EXAMPLES = """
Examples:
  raftkv
    One member in ./default.etcd, clients on http://localhost:2379.
  raftkv --name n1 --data-dir /var/lib/raftkv \\
      --listen-client-urls http://10.0.0.1:2379 --advertise-client-urls http://10.0.0.1:2379 \\
      --listen-peer-urls http://10.0.0.1:2380 --initial-advertise-peer-urls http://10.0.0.1:2380 \\
      --initial-cluster n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380,n3=http://10.0.0.3:2380
    The first of three members; the other two differ in name and addresses only.
  ETCD_NAME=n1 ETCD_DATA_DIR=/var/lib/raftkv raftkv
    The same variables that etcd reads.
"""

_MARKS = {Use.INERT: " [no effect in this version]", Use.REFUSED: " [not supported in this version: refused]"}


def _entry(flag: Flag) -> str:
    default = "${name}.etcd" if flag.name == "data-dir" else flag.default
    return f"  --{flag.name} '{default}'\n    {flag.help}{_MARKS.get(flag.use, '')}\n"


def _flags_text() -> str:
    parts: list[str] = []
    group = ""
    for flag in FLAGS.values():
        if flag.group == OLDER_GROUP:
            continue
        if flag.group != group:
            group = flag.group
            parts.append(f"\n{group}:\n")
        parts.append(_entry(flag))
    parts.append(f"\n{OLDER_GROUP}, still accepted:\n")
    renamed = ((flag.name, flag.current) for flag in FLAGS.values() if flag.current)
    parts.extend(f"  --{old} is --{new}\n" for old, new in renamed)
    return "".join(parts) + _EXAMPLES


FLAGS_TEXT = _flags_text()
