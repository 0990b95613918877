"""`python -m resource_api`: flags to a running API server, signals to its end.

Owns exit statuses and logging; signals are `raftkv.process`'s, everything else is composed by `embedded.py`. Statuses: 0 stopped by a
signal, 1 failed, or ended by a second signal, 2 wrong flags. After the word `attended` the end of standard input stops it too, so that it
does not outlive its parent.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from raftkv import process
from resource_api.config import ApiConfig, ConfigError, parse, usage

log = logging.getLogger("resource_api")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the server; returns its exit status."""
    if not process.has_assertions("resource_api"):
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
    process.raise_descriptor_limit(log)
    with asyncio.Runner(loop_factory=process.loop_factory()) as runner:
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
        self._kubeconfig = os.path.abspath(config.write_kubeconfig) if config.write_kubeconfig else ""
        self._ending = process.Ending(log, at_once=lambda _: 1, attended=attended)

    async def run(self) -> int:
        """Serves until a signal or a failure; the exit status."""
        self._ending.listen()
        try:
            await self._serve()
        except asyncio.CancelledError:
            if self._ending.asked_by is None:
                raise
        except (Exception, BaseExceptionGroup) as error:
            self._tell(error)
            return 1
        return 0

    def _tell(self, error: BaseException) -> None:
        """One line, the last; before it a traceback, when the fault is ours or came after the start."""
        from resource_api.start_faults import explain

        has_started = self._ending.has_started
        advice = explain(error, self._config) if not has_started else ""
        if not advice:
            log.error("where it failed", exc_info=error)
        state = "failed" if has_started else "cannot start"
        log.critical("the API server %s: %s", state, advice or repr(process.first_error(error)))

    async def _serve(self) -> None:
        # Imported here, so that help and wrong flags answer at once.
        from resource_api.embedded import running_api

        config = self._config
        async with running_api(config) as plane:
            self._ending.started(plane.describe)
            print(f"resource_api: serving https://{plane.server.address}", flush=True)
            if config.insecure_port >= 0:
                print(f"resource_api: serving http://127.0.0.1:{plane.insecure_port} for this machine's programs", flush=True)
            if self._kubeconfig:
                print(f"resource_api: export KUBECONFIG={self._kubeconfig}", flush=True)
            await self._ending.wait()
            plane.server.stopping = True
            await asyncio.sleep(config.shutdown_delay_duration_s)


if __name__ == "__main__":
    sys.exit(main())
