"""The batch itself: studies are submitted to a Dask cluster a few at a time, and each writes its record."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any

import dask
from distributed import Client, Future, LocalCluster
from distributed.comm.core import CommClosedError

from lumbar.batch.records import Outcome
from lumbar.batch.work import EngineOptions, Work
from lumbar.batch.worker import do_study, failed
from lumbar.errors import UsageError

_POLL_S = 1.0
_AHEAD = 2  # studies that wait at each worker's thread, so that none stands idle
_HEAL_S = 20.0  # interval for the replacement of lost local workers
_LOST_WORKER_S = 120  # how long a local worker may take to restart: a loaded machine needs more than Dask's 15 s
_LOST_WORKERS = 10  # a study is considered the cause if its worker was killed this many times without an error message


def run_all(work: Sequence[Work], options: EngineOptions) -> Iterator[tuple[Outcome, bool]]:
    """Do all of `work`, yielding every attempt that ended, and whether it is final.

    Raises:
        UsageError: the scheduler cannot be reached, or was lost; finished studies are kept.
    """
    if not work:
        return
    with _client(options) as (client, cluster):
        yield from Flow(client, cluster, options).run(work)


class Flow:
    """Studies in progress on the cluster."""

    def __init__(self, client: Client, cluster: LocalCluster | None, options: EngineOptions) -> None:
        self._client, self._cluster, self._options = client, cluster, options
        self._healed = time.monotonic()
        self._ended: SimpleQueue[Future[Outcome]] = SimpleQueue()
        self._flying: dict[str, tuple[Work, Future[Outcome]]] = {}

    def run(self, work: Sequence[Work]) -> Iterator[tuple[Outcome, bool]]:
        """Yield every attempt that ended, and whether it is final; failed studies are tried again after all others."""
        waiting = iter(work)
        again: list[Work] = []
        while True:
            self._fill(waiting, again)
            if not self._flying:
                return
            try:
                future = self._ended.get(timeout=_POLL_S)
            except Empty:
                self._check_cluster()
                continue
            item, _ = self._flying.pop(str(future.key))
            outcome = self._outcome(item, future)
            retry = outcome.status == "failed" and item.attempt < self._options.attempts
            if retry:
                again.append(replace(item, attempt=item.attempt + 1))
            yield outcome, not retry

    def _fill(self, waiting: Iterator[Work], again: list[Work]) -> None:
        """Keep every worker busy; second attempts come when nothing else is left, so that one that hangs twice does not delay the others."""
        with _connected():
            threads = sum(self._client.nthreads().values())
        room = _AHEAD * max(1, threads) - len(self._flying)
        for _ in range(room):
            item = next(waiting, None) or (again.pop(0) if again else None)
            if item is None:
                return
            future = self._client.submit(do_study, item, key=f"{item.study}-{item.run}-{item.attempt}", pure=False, retries=0)
            self._flying[str(future.key)] = item, future
            future.add_done_callback(self._ended.put)

    def _outcome(self, item: Work, future: Future[Outcome]) -> Outcome:
        if future.status == "finished":
            with _connected():
                return future.result()
        if future.status in ("cancelled", "lost"):
            raise UsageError(_lost())
        error = future.exception()
        name = type(error).__name__
        if name == "KilledWorker":
            return failed(item, f"its worker was killed {_LOST_WORKERS} times during its analysis")
        return failed(item, f"the worker could not do it: {name}: {error}")

    def _check_cluster(self) -> None:
        """Raise if the scheduler is lost; replace local workers whose restart failed, without which the rest would wait for ever."""
        if self._client.status != "running":
            raise UsageError(_lost())
        if self._cluster is not None and time.monotonic() - self._healed > _HEAL_S:
            self._cluster.scale(self._options.workers)
            self._healed = time.monotonic()


def _lost() -> str:
    return "the Dask scheduler was lost; start it again and repeat the command with --resume: finished studies are kept"


@contextmanager
def _connected() -> Iterator[None]:
    """Report a connection to the scheduler that breaks during a call as a lost scheduler."""
    try:
        yield
    except (CommClosedError, TimeoutError) as error:
        raise UsageError(_lost()) from error


@contextmanager
def _client(options: EngineOptions) -> Iterator[tuple[Client, LocalCluster | None]]:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # killed workers are restarted and recorded with their study
    settings: dict[str, Any] = {
        "distributed.scheduler.allowed-failures": _LOST_WORKERS,
        "distributed.worker.memory.target": False,  # the study's process holds the memory, and it is watched by isolation.py
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
        "distributed.worker.profile.enabled": False,  # Dask samples its workers 100 times a second and wakes every 20 ms: a tenth of a core in all
        "distributed.admin.tick.interval": "500 ms",
        "distributed.deploy.lost-worker-timeout": f"{_LOST_WORKER_S} s",
        "distributed.comm.timeouts.connect": f"{options.patience_s:g}s",
    }
    with dask.config.set(settings):
        if options.scheduler:
            client = _remote(options.scheduler)
            try:
                yield client, None
            finally:
                client.close(timeout=5)
            return
        with (
            LocalCluster(n_workers=options.workers, threads_per_worker=1, processes=True, memory_limit=0, dashboard_address="127.0.0.1:0") as cluster,
            Client(cluster) as client,
        ):
            yield client, cluster


def _remote(scheduler: str) -> Client:
    try:
        return Client(scheduler_file=scheduler, timeout=15) if scheduler.endswith(".json") else Client(scheduler, timeout=15)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(
            f"no Dask scheduler responds at {scheduler} ({type(error).__name__}); start one with `dask scheduler`, and give its address"
        ) from error
