"""The process that does studies for one worker: models are loaded once, then one line of JSON in is one study, one line out its result.

    python -m lumbar.batch.study_process '{"job": "module:class", …}'

The worker watches this process from outside, and notices a hang, excessive memory or a crash in a decoder; see `isolation.py`.
"""

import faulthandler
import gc
import importlib
import json
import os
import resource
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol, TextIO

from lumbar.errors import LumbarError
from lumbar.models.memory import keep_free_memory


class Job(Protocol):
    """What a process runs: made once with the batch's options, then called once a study."""

    def __call__(self, message: dict[str, Any]) -> dict[str, Any]:
        """Do one study; returns what its record takes over."""
        ...


def serve(options: dict[str, Any], lines: "SimpleQueue[str | None]", responses: TextIO) -> None:
    """Answer every line of `lines` until None comes."""
    module, name = options.pop("job").split(":")
    job: Job = getattr(importlib.import_module(module), name)(**options)
    _respond(responses, {"ready": True})
    while (line := lines.get()) is not None:
        _respond(responses, _measured(job, json.loads(line)))
        gc.collect()


def _measured(job: Job, message: dict[str, Any]) -> dict[str, Any]:
    _forget_peak()
    start, cpu = time.perf_counter(), time.process_time()
    try:
        response = job(message)
    except LumbarError as error:
        response = {"status": "failed", "reason": str(error)}
    except MemoryError:
        response = {"status": "failed", "reason": "a memory allocation failed: the machine has too little memory"}
    except Exception as error:  # one study must not end the others; its text may quote a header, its type does not
        response = {"status": "failed", "reason": f"internal error: {type(error).__name__} (run lumbar analyze --debug on this study)"}
    return {**response, "seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu, "peak_mb": _peak_mb()}


def _forget_peak() -> None:
    """Let the kernel's mark of the largest resident memory start again, where it can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # without it the peak is that of the whole process so far


def _peak_mb() -> float:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib / (1 << 20 if sys.platform == "darwin" else 1024)


def _respond(responses: TextIO, document: dict[str, Any]) -> None:
    responses.write(json.dumps(document) + "\n")
    responses.flush()


def _read(lines: "SimpleQueue[str | None]") -> None:
    """Pass lines on; when the worker is gone, end at once whatever is being done."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def main() -> None:
    """Serve the worker at the other end of standard input and output until it closes them."""
    keep_free_memory()
    faulthandler.enable()  # a crash leaves its place on standard error
    responses = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints goes to standard error
    lines: SimpleQueue[str | None] = SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    serve(json.loads(sys.argv[1]), lines, responses)


if __name__ == "__main__":
    main()
