"""The process `raftkv`: arguments to settings, settings to a running member, signals to its end.

Owns exit statuses and what a failed start says; signals are `raftkv.process`'s, everything else is composed by
`raftkv.embedded`. Statuses: 0 done or stopped as pid 1, 1 refused or failed, 2 wrong flags, 128+n ended by signal n.

SIGTERM and SIGINT stop in order and are then raised again, so that the parent sees a death by signal, as with etcd. A second one
ends the drain at once: nothing acknowledged is lost, because it was synced before it was acknowledged. SIGUSR1 dumps the state.
`raftkv attended` is `raftkv server` that also stops when its standard input ends, so that it does not outlive its parent.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import platform
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import raftkv
from raftkv import logs, process
from raftkv.clock import SystemClock
from raftkv.config import FailpointSettings, Launch, Stop, bootstrap_faults, holds_data, read_failpoints, read_launch
from raftkv.errors import ConfigError, CorruptionError

if TYPE_CHECKING:
    from raftkv.embedded import RunningMember

ABSENT = {
    "gateway": "the TCP gateway is not part of raftkv; clients take several endpoints",
    "grpc-proxy": "the gRPC proxy is not part of raftkv",
}

PEERS_OPEN = "serving peer traffic insecurely: whoever reaches this address can take part in the cluster"

log = logging.getLogger("raftkv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status, or dies by the signal that ended it."""
    if not process.has_assertions("raftkv"):
        return 1
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = words[0] if words else ""
    if command == "up":
        from raftkv.up import run

        return run(words[1:])
    if command in ABSENT:
        print(f"raftkv {command}: {ABSENT[command]}", file=sys.stderr)
        return 2
    if command == "version":
        words[0] = "--version"
    elif command == "help":
        words[0] = "--help"
    elif command in ("server", "attended"):
        words = words[1:]
    return serve(words, attended=command == "attended")


def serve(arguments: Sequence[str], *, attended: bool = False) -> int:
    """One member, from its flags to its end. An attended one stops in order when its standard input ends, too."""
    try:
        launch = read_launch(arguments, os.environ)
        logs.configure(launch.logs)
    except Stop as stop:
        return _show(stop)
    except OSError as exc:
        return _show(Stop(1, stderr=f"open sink: {exc}\n"))
    _log_notices(launch)
    failpoints = read_failpoints(os.environ)
    if failpoints.asked and not switch_failpoints_on(failpoints):
        return 1
    faults = [] if holds_data(launch.member) else bootstrap_faults(launch.member)
    for fault in faults:
        log.critical("discovery failed", extra={"fields": {"error": fault}})
    if faults:
        return 1
    process.raise_descriptor_limit(log)
    member = MemberProcess(launch, attended=attended)
    with asyncio.Runner(loop_factory=process.loop_factory()) as runner:
        return member.exit_status(runner.run(member.run()))


def _show(stop: Stop) -> int:
    sys.stdout.write(stop.stdout)
    sys.stdout.flush()
    sys.stderr.write(stop.stderr)
    if stop.notices:
        logs.configure(logs.LogSettings())
        for notice in stop.notices:
            log.log(notice.level, notice.message, extra={"fields": notice.fields})
    sys.stderr.flush()
    return stop.status


def _log_notices(launch: Launch) -> None:
    for notice in launch.notices:
        log.log(notice.level, notice.message, extra={"fields": notice.fields})
    member = launch.member
    log.info(
        "starting raftkv",
        extra={
            "fields": {
                "raftkv-version": raftkv.__version__,
                "etcd-api-version": raftkv.ETCD_VERSION,
                "python-version": platform.python_version(),
                "name": member.name,
                "data-dir": member.data_dir,
                "listen-client-urls": list(member.listen_client_urls),
                "advertise-client-urls": list(member.advertise_client_urls),
                "listen-peer-urls": list(member.listen_peer_urls),
                "initial-advertise-peer-urls": list(member.initial_advertise_peer_urls),
                "pid": os.getpid(),
            }
        },
    )
    for url in member.listen_peer_urls:
        log.warning(PEERS_OPEN, extra={"fields": {"address": url.partition("://")[2]}})


def switch_failpoints_on(settings: FailpointSettings) -> bool:
    """Has the process fail where it was asked to; False, and a line in the log, when what was asked is not understood."""
    from raftkv import failpoint_http
    from raftkv.failpoints import ProcessEffects, switch_on_all

    effects = ProcessEffects(SystemClock().random())
    log.warning(
        "failpoints are on: this member fails on purpose", extra={"fields": {"places": settings.places, "address": settings.address}}
    )
    try:
        switch_on_all(settings.places, effects)
        if settings.address:
            failpoint_http.FailpointServer(settings.address, effects).start()
    except (ConfigError, OSError) as exc:
        log.critical("failpoints cannot be switched on", extra={"fields": {"error": str(exc)}})
        return False
    return True


class MemberProcess:
    """One member and the signals that reach its process."""

    def __init__(self, launch: Launch, *, attended: bool = False) -> None:
        self._settings = launch.member
        self._ending = process.Ending(log, at_once=end_by_signal, attended=attended)

    async def run(self) -> int:
        """Serves until a signal or a failure; returns the exit status of the latter."""
        self._ending.listen()
        try:
            async with self._serving() as member:
                self._ending.started(member.describe)
                await self._ending.wait()
                await member.stop(drain=True)
        except asyncio.CancelledError:
            if self._ending.asked_by is None:
                raise
        except (Exception, BaseExceptionGroup) as exc:
            return report_failure(exc, started=self._ending.has_started)
        log.info("stopped")
        return 0

    def _serving(self) -> AbstractAsyncContextManager[RunningMember]:
        # Imported here, so that help, version and a refused start answer at once.
        from raftkv.embedded import running_member

        return running_member(self._settings)

    def exit_status(self, status: int) -> int:
        """What the process ends with after `run()` returned `status`, if it does not die by the signal that ended it."""
        number = self._ending.asked_by
        return status if number is None else end_by_signal(number)


def end_by_signal(number: signal.Signals) -> int:
    """Dies by the signal, whose default action is back in force; as pid 1, where that would do nothing, returns 0."""
    logging.shutdown()
    if os.getpid() == 1:
        return 0
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


def report_failure(error: BaseException, *, started: bool) -> int:
    """Writes the one fatal line a failed member ends with; returns the exit status."""
    cause = process.first_error(error)
    text = listen_fault(cause) if isinstance(cause, OSError) else ""
    if text:
        log.critical("listener failed", extra={"fields": {"error": text}})
    elif isinstance(cause, OSError) and cause.errno is not None:
        # The system's own word says it all: no traceback, which would hide it.
        message = "the member failed" if started else "failed to start etcd"
        log.critical(message, extra={"fields": {"error": system_fault(cause)}})
    elif isinstance(cause, ConfigError | CorruptionError):
        message = "the member failed" if started else "failed to start etcd"
        log.critical(message, extra={"fields": {"error": str(cause)}})
    else:
        log.critical("the member failed" if started else "failed to start etcd", exc_info=cause)
    return 2 if isinstance(cause, AssertionError) else 1


def system_fault(error: OSError) -> str:
    """What the system refused, in Go's form: the path, then its word for the error."""
    where = f"{error.filename}: " if error.filename and str(error.filename) not in str(error.strerror) else ""
    return f"{where}{error.strerror}" if error.strerror else str(error)


def listen_fault(error: OSError) -> str:
    """Go's text for a port that cannot be listened on, whatever the event loop wrote; empty for any other error."""
    if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
        return ""
    address = re.search(r"listen tcp (?P<address>\S+): bind|\('(?P<host>[^']*)', (?P<port>\d+)", str(error))
    if address is None:
        return ""
    where = address["address"] or f"{address['host']}:{address['port']}"
    return f"listen tcp {where}: bind: {os.strerror(error.errno).lower()}"


if __name__ == "__main__":
    sys.exit(main())
