"""Progress of a batch: a bar on the terminal, and a log file."""

import sys
import time
from pathlib import Path
from types import TracebackType

from tqdm import tqdm

from lumbar.batch.records import Outcome

_LOG_EVERY_S = 30.0


class Progress:
    """Counts outcomes; writes `batch.log` with the time left, and a bar on standard error where that is a terminal."""

    def __init__(self, log: Path, total: int, kept: int, quiet: bool) -> None:
        self._log = log.open("a", encoding="utf-8")
        self._total, self._done, self._failed = total, 0, 0
        self._start, self._told = time.monotonic(), 0.0
        self._bar = tqdm(total=total, desc="studies", unit="study", file=sys.stderr, leave=False, disable=quiet or not sys.stderr.isatty())
        self._say(f"{total} studies to do, {kept} done before")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.close()
        self._say(f"{'stopped' if error else 'ended'}: {self._state()}")
        self._log.close()

    def report(self, outcome: Outcome, final: bool) -> None:
        """Count one attempt."""
        if outcome.status == "failed":
            self._say(f"{outcome.study} failed{'' if final else ', to be tried once more'}: {outcome.reason}")
        if not final:
            return
        self._done += 1
        self._failed += outcome.status == "failed"
        self._bar.set_postfix_str(f"{self._failed} failed", refresh=False)
        self._bar.update()
        if time.monotonic() - self._told > _LOG_EVERY_S:
            self._say(self._state())
            self._told = time.monotonic()

    def _state(self) -> str:
        took = time.monotonic() - self._start
        text = f"{self._done} of {self._total} studies, {self._failed} failed, {duration(took)} so far"
        left = self._total - self._done
        if self._done and left:
            text += f", {took / self._done:.1f} s a study, {duration(took / self._done * left)} left"
        return text

    def _say(self, text: str) -> None:
        self._log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        self._log.flush()


def duration(seconds: float) -> str:
    """`3 h 05 min`, `12 min`, `40 s`."""
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    return f"{int(seconds // 60)} min" if seconds >= 120 else f"{seconds:.0f} s"
