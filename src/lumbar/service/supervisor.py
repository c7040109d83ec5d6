"""Starts the worker processes, and starts them again when they end."""

import json
import logging
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from lumbar.service.config import ServiceConfig, to_tables
from lumbar.service.store.jobs import JobStore

_LOG = logging.getLogger("lumbar.service")
WORKER = (sys.executable, "-m", "lumbar.service.engine")
_LOOK_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 30.0
_HEALTHY_SECONDS = 20.0  # a worker that lived for so long did not fail at its start


@dataclass
class _Seat:
    """A slot for one worker process."""

    process: "subprocess.Popen[str] | None" = None
    name: str = ""
    started: float = 0.0
    pause: float = 0.0
    next_start: float = 0.0


class Supervisor:
    """Keeps as many workers as configured."""

    def __init__(self, config: ServiceConfig, jobs: JobStore, command: Sequence[str] = WORKER) -> None:
        self._config, self._jobs, self._command = config, jobs, tuple(command)
        self._seats = [_Seat() for _ in range(config.workers)]

    def run(self, stop: threading.Event) -> None:
        """Watch the workers until `stop`, then end them; their jobs are queued again and their tries do not count."""
        try:
            while not stop.is_set():
                for seat in self._seats:
                    self._look(seat)
                stop.wait(_LOOK_SECONDS)
        finally:
            for seat in self._seats:
                self._end(seat)

    def _look(self, seat: _Seat) -> None:
        now = time.monotonic()
        if seat.process is not None:
            code = seat.process.poll()
            if code is None:
                return
            reason = f"the worker was ended by signal {-code}" if code < 0 else f"the worker ended with exit code {code}"
            _LOG.warning("%s: %s", seat.name, reason)
            self._release(seat, reason)
            seat.pause = 0.0 if now - seat.started > _HEALTHY_SECONDS else min(_LONGEST_PAUSE_SECONDS, 2 * seat.pause + 0.5)
            seat.next_start = now + seat.pause
        if seat.process is None and now >= seat.next_start:
            self._start(seat)

    def _release(self, seat: _Seat, reason: str) -> None:
        try:
            self._jobs.worker_ended(seat.name, reason)
        except Exception as error:  # the lease ends by itself
            _LOG.error("%s: its job could not be queued again at once (%s)", seat.name, type(error).__name__)
        if seat.process and seat.process.stdin:
            seat.process.stdin.close()
        seat.process = None

    def _start(self, seat: _Seat) -> None:
        seat.name, seat.started = f"worker {secrets.token_hex(4)}", time.monotonic()
        seat.process = subprocess.Popen(self._command, stdin=subprocess.PIPE, text=True)  # noqa: S603  (our own command)
        stdin = seat.process.stdin
        if stdin is not None:
            try:
                stdin.write(json.dumps({"name": seat.name, "config": to_tables(self._config)}) + "\n")
                stdin.flush()
            except OSError:  # it ended at once; the next look says so
                return

    def _end(self, seat: _Seat) -> None:
        if seat.process is None:
            return
        if seat.process.stdin:
            try:
                seat.process.stdin.close()
            except OSError:
                _LOG.debug("%s had ended", seat.name)
        try:
            seat.process.wait(5)
        except subprocess.TimeoutExpired:
            seat.process.kill()
            seat.process.wait()
        self._jobs.give_back(seat.name)
        seat.process = None
