"""The process `raftkv`: arguments to settings, settings to a running member, signals to its end.

Owns exit statuses, process-wide switches (descriptor limit, event loop) and signal handling; everything else
is composed by `raftkv.embedded`. Statuses: 0 done or stopped as pid 1, 1 refused or failed, 2 wrong flags, 128+n ended by signal n.

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
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import raftkv
from raftkv import logs
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

STANDARD_INPUT = 0
INPUT_BYTES_MAX = 4096

SIGNAL_TEXTS = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupt"}

log = logging.getLogger("raftkv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status, or dies by the signal that ended it."""
    if not __debug__:
        print("raftkv: refuses to run under `python -O`: its guards are assertions", file=sys.stderr)
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
    raise_descriptor_limit()
    process = MemberProcess(launch, attended=attended)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        status = runner.run(process.run())
    if process.ended_by is not None:
        return end_by_signal(process.ended_by)
    return status


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


def raise_descriptor_limit() -> None:
    """Raises the soft limit of open files to the hard one, as Go does for etcd: each client connection is a descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as exc:
            log.warning("cannot raise the limit of open files", extra={"fields": {"limit": soft, "error": str(exc)}})


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


class MemberProcess:
    """One member and the signals that reach its process."""

    def __init__(self, launch: Launch, *, attended: bool = False) -> None:
        self._settings = launch.member
        self._attended = attended
        self._stop_asked = asyncio.Event()
        self._task: asyncio.Task[int] | None = None
        self._member: RunningMember | None = None
        self.ended_by: signal.Signals | None = None
        """The signal that asked for the end; None while nothing did."""

    async def run(self) -> int:
        """Serves until a signal or a failure; returns the exit status of the latter."""
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal, number)
        loop.add_signal_handler(signal.SIGUSR1, self._on_dump_signal)
        if self._attended:
            loop.add_reader(STANDARD_INPUT, self._on_input)
        try:
            await self._serve()
        except asyncio.CancelledError:
            if self.ended_by is None:
                raise
        except (Exception, BaseExceptionGroup) as exc:
            return report_failure(exc, started=self._member is not None)
        log.info("stopped")
        return 0

    async def _serve(self) -> None:
        # Imported here, so that help, version and a refused start answer at once.
        from raftkv.embedded import running_member

        async with running_member(self._settings) as member:
            self._member = member
            await self._stop_asked.wait()
            await member.stop(drain=True)

    def _on_stop_signal(self, number: signal.Signals) -> None:
        fields = {"fields": {"signal": SIGNAL_TEXTS.get(number, number.name)}}
        if self.ended_by is not None:
            log.warning("received a second signal; ending without draining", extra=fields)
            os._exit(end_by_signal(number))
        self.ended_by = number
        log.info("received signal; shutting down", extra=fields)
        if self._member is not None:
            self._stop_asked.set()
        elif self._task is not None:
            # Still starting: recovery and joining hold nothing that a cancellation could lose.
            self._task.cancel()

    def _on_input(self) -> None:
        """Whoever started this process holds the other end: what it writes means nothing, its end is a wish to stop."""
        try:
            ended = not os.read(STANDARD_INPUT, INPUT_BYTES_MAX)
        except OSError:
            ended = True
        if ended:
            asyncio.get_running_loop().remove_reader(STANDARD_INPUT)
            log.info("standard input has ended, and with it who started this member")
            if self.ended_by is None:
                self._on_stop_signal(signal.SIGTERM)

    def _on_dump_signal(self) -> None:
        text = self._member.describe() if self._member is not None else "starting"
        sys.stderr.write(text.rstrip("\n") + "\n")
        sys.stderr.flush()


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
    cause = first_error(error)
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


def first_error(error: BaseException) -> BaseException:
    """The first failure inside a group of them; the others followed from it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


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
