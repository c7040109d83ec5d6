"""Jobs that stand in for an analysis in a worker's process: quick, and broken on request."""

import ctypes
import json
import os
import signal
import time
from pathlib import Path

import numpy as np

from lumbar.batch.staging import staged
from lumbar.errors import UnreadableInput


class MeasureJob:
    """Reads `value.txt` of a study folder as the height of its only disc; a word in place of a number breaks the process in the way it names."""

    def __init__(self, tasks, models, threads):
        self.calls = 0

    def __call__(self, message):
        self.calls += 1
        source, out = Path(message["source"]), Path(message["out"])
        with (out / "started.log").open("a") as log:
            log.write(f"{message['study']} {os.getpid()} {self.calls}\n")
        word = (source / "value.txt").read_text().strip()
        if word in POISONS:
            POISONS[word]()
        if word.startswith("once:"):
            mark = out / f"{message['study']}.seen"
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            word = word.removeprefix("once:")
        if word.startswith("slow:"):
            _, seconds, word = word.split(":")
            time.sleep(float(seconds))
        with staged(out, message["study"]) as stage:
            level = {"level": "L4/L5", "center_mm": [0, 0, 0], "disc_height_mm": float(word)}
            (stage / "findings.json").write_text(json.dumps({"spine": {"levels": [level]}, "warnings": []}))
        return {"status": "done", "age_years": 50.0, "sex": "F", "version": "1"}


def _hang():
    while True:
        time.sleep(0.1)


def _hang_in_c():
    ctypes.CDLL(None).sleep(1000)


def _eat():
    blocks = []
    for _ in range(64):
        blocks.append(np.ones(16 * 2**20, np.float64))  # 128 MB each, 8 GB in all


def _crash():
    ctypes.string_at(0)


def _unreadable():
    raise UnreadableInput("no MR slice can be read")


POISONS = {"hang": _hang, "hang_in_c": _hang_in_c, "eat": _eat, "crash": _crash, "unreadable": _unreadable}
