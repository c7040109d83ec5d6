"""The worker's side of a study process: one that hangs, exceeds its memory or crashes is stopped and affects its own study only."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from queue import Empty, SimpleQueue
from typing import Any

import psutil

from lumbar.batch.work import JobOptions, Limits

_POLL_S = 0.1
_START_S = 300.0  # for imports and models; slow network folders included


class StudyProcess:
    """One process that does studies, started when it is needed and again after it was ended."""

    def __init__(self, options: JobOptions) -> None:
        self.options = options
        self._process: subprocess.Popen[str] | None = None
        self._responses: SimpleQueue[str | None] = SimpleQueue()

    def run(self, message: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
        """Do one study; a study that breaks the process or a limit comes back as failed, with the reason."""
        start = time.perf_counter()
        if self._process is None or self._process.poll() is not None:
            self._start()
            ready = self._wait(Limits(_START_S, limits.memory_mb), {})
            if "ready" not in ready:
                return {**ready, "reason": f"the models could not be loaded: {ready['reason']}", "seconds": time.perf_counter() - start}
        process = self._process
        assert process is not None and process.stdin is not None
        try:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
        except OSError:
            return self._ended("its process ended before the analysis began", {})
        return self._wait(limits, {"start": time.perf_counter(), "cpu": _cpu_seconds(process.pid)})

    def stop(self) -> None:
        """Stop the process in any state."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> None:
        self._errors = tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")  # noqa: SIM115  (lives as long as the process)
        command = [sys.executable, "-m", "lumbar.batch.study_process", json.dumps(self.options.to_json())]
        self._process = subprocess.Popen(  # noqa: S603  (this interpreter and a module of this package)
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, encoding="utf-8", env=_environment()
        )
        self._responses = SimpleQueue()
        threading.Thread(target=_pass_on, args=(self._process.stdout, self._responses), daemon=True).start()

    def _wait(self, limits: Limits, began: Mapping[str, float]) -> dict[str, Any]:
        """The response of the process, or the reason why it was stopped."""
        assert self._process is not None
        watched, since, peak_mb, cpu = psutil.Process(self._process.pid), time.perf_counter(), 0.0, 0.0
        while True:
            try:
                line = self._responses.get(timeout=_POLL_S)
            except Empty:
                pass
            else:
                return json.loads(line) if line is not None else self._ended(self._crash(), _usage(began, cpu, peak_mb))
            try:
                with watched.oneshot():
                    peak_mb, cpu = max(peak_mb, watched.memory_info().rss / 2**20), sum(watched.cpu_times()[:2])
            except psutil.Error:
                continue  # it has just ended; the end of its output follows
            if peak_mb > limits.memory_mb:
                return self._ended(f"stopped at {peak_mb:.0f} MB of memory, the limit is {limits.memory_mb:.0f} MB", _usage(began, cpu, peak_mb))
            if time.perf_counter() - since > limits.seconds:
                return self._ended(f"stopped after {limits.seconds:.0f} s, the limit; it hung or is too slow", _usage(began, cpu, peak_mb))

    def _ended(self, reason: str, usage: Mapping[str, float]) -> dict[str, Any]:
        self.stop()
        return {"status": "failed", "reason": reason, **usage}

    def _crash(self) -> str:
        assert self._process is not None
        code = self._process.wait()
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        self._errors.seek(0)
        last = (self._errors.read().strip().splitlines() or [""])[-1]
        return f"its process ended with exit code {code}" + (f" ({last[:200]})" if last.startswith("lumbar.errors.") else "")


def _environment() -> dict[str, str]:
    """The worker's environment without the setting by which Dask makes its workers return freed memory at once: it costs an analysis 3 s of page faults."""
    return {name: value for name, value in os.environ.items() if name != "MALLOC_TRIM_THRESHOLD_"}


def _pass_on(stream: Any, responses: "SimpleQueue[str | None]") -> None:
    for line in stream:
        responses.put(line)
    responses.put(None)


def _cpu_seconds(pid: int) -> float:
    try:
        return float(sum(psutil.Process(pid).cpu_times()[:2]))
    except psutil.Error:
        return 0.0


def _usage(began: Mapping[str, float], cpu: float, peak_mb: float) -> dict[str, float]:
    seconds = time.perf_counter() - began["start"] if "start" in began else 0.0
    return {"seconds": seconds, "cpu_seconds": max(0.0, cpu - began.get("cpu", 0.0)), "peak_mb": peak_mb}
