"""`python -m resource_api`: flags to a running API server, signals to its end.

Owns exit statuses, the loop, signals and logging; everything else is composed by `embedded.py`. Statuses: 0 stopped by a signal, 1 failed,
2 wrong flags. SIGTERM and SIGINT stop in order; a second one ends at once. SIGUSR1 dumps the state. After the word `attended` the end of
standard input stops it too, so that it does not outlive its parent.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from resource_api.config import ApiConfig, ConfigError, parse, usage

if TYPE_CHECKING:
    from resource_api.control_plane import ControlPlane

STANDARD_INPUT = 0
INPUT_BYTES_MAX = 4096

log = logging.getLogger("resource_api")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the server; returns its exit status."""
    if not __debug__:
        print("resource_api: refuses to run under `python -O`: its guards are assertions", file=sys.stderr)
        return 1
    words = list(sys.argv[1:] if arguments is None else arguments)
    attended = words[:1] == ["attended"]
    if attended:
        del words[0]
    if any(word in ("-h", "--help", "help") for word in words):
        sys.stdout.write(usage())
        return 0
    if words in (["--version"], ["version"]):
        from resource_api.http.health import GIT_VERSION

        print(f"Kubernetes {GIT_VERSION}")
        return 0
    try:
        config, warnings = parse(words)
    except ConfigError as error:
        print(f"resource_api: {error}", file=sys.stderr)
        return 2
    level = logging.WARNING if config.verbosity < 2 else logging.INFO if config.verbosity < 4 else logging.DEBUG
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogLines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    for warning in warnings:
        log.warning("%s", warning)
    _raise_descriptor_limit()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(ServerProcess(config, attended=attended).run())


class LogLines(logging.Formatter):
    """A line for each record, and its fields after the message: `message error=... queue=...`."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: D102  # as its base
        fields = getattr(record, "fields", None) or {}
        return super().formatMessage(record) + "".join(f" {name}={value}" for name, value in fields.items())


class ServerProcess:
    """One API server and the signals that reach its process."""

    def __init__(self, config: ApiConfig, *, attended: bool = False) -> None:
        self._config = config
        self._attended = attended
        self._kubeconfig = os.path.abspath(config.write_kubeconfig) if config.write_kubeconfig else ""
        self._stop_asked = asyncio.Event()
        self._is_stopping = False
        self._task: asyncio.Task[int] | None = None
        self._plane: ControlPlane | None = None

    async def run(self) -> int:
        """Serves until a signal or a failure; the exit status."""
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal)
        loop.add_signal_handler(signal.SIGUSR1, self._on_dump_signal)
        if self._attended:
            loop.add_reader(STANDARD_INPUT, self._on_input)
        try:
            await self._serve()
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
        except (Exception, BaseExceptionGroup) as error:
            self._tell(error)
            return 1
        return 0

    def _tell(self, error: BaseException) -> None:
        """One line, the last; before it a traceback, when the fault is ours or came after the start."""
        from resource_api.start_faults import explain, first_of

        advice = explain(error, self._config) if self._plane is None else ""
        if not advice:
            log.error("where it failed", exc_info=error)
        state = "failed" if self._plane is not None else "cannot start"
        log.critical("the API server %s: %s", state, advice or repr(first_of(error)))

    async def _serve(self) -> None:
        # Imported here, so that help and wrong flags answer at once.
        from resource_api.embedded import running_api

        config = self._config
        async with running_api(config) as plane:
            self._plane = plane
            print(f"resource_api: serving https://{plane.server.address}", flush=True)
            if config.insecure_port >= 0:
                print(f"resource_api: serving http://127.0.0.1:{plane.insecure_port} for this machine's programs", flush=True)
            if self._kubeconfig:
                print(f"resource_api: export KUBECONFIG={self._kubeconfig}", flush=True)
            await self._stop_asked.wait()
            plane.server.stopping = True
            await asyncio.sleep(config.shutdown_delay_duration_s)

    def _on_stop_signal(self) -> None:
        if self._is_stopping:
            log.warning("a second signal: ending at once")
            logging.shutdown()
            os._exit(1)
        self._is_stopping = True
        if self._plane is not None:
            self._stop_asked.set()
        elif self._task is not None:
            self._task.cancel()

    def _on_input(self) -> None:
        """Whoever started this process holds the other end: what it writes means nothing, its end is a wish to stop."""
        try:
            ended = not os.read(STANDARD_INPUT, INPUT_BYTES_MAX)
        except OSError:
            ended = True
        if ended:
            asyncio.get_running_loop().remove_reader(STANDARD_INPUT)
            if not self._is_stopping:
                self._on_stop_signal()

    def _on_dump_signal(self) -> None:
        text = self._plane.describe() if self._plane is not None else "starting"
        sys.stderr.write(text.rstrip("\n") + "\n")
        sys.stderr.flush()


def _raise_descriptor_limit() -> None:
    """Each watch is a descriptor: the soft limit becomes the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            log.warning("cannot raise the limit of open files above %d: %s", soft, error)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


if __name__ == "__main__":
    sys.exit(main())
