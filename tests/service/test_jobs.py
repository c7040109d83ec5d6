"""The queue: leases, tries, pauses, and what becomes of work whose worker or service is gone."""

import sqlite3
import threading
from pathlib import Path

import pytest

from lumbar.service.store.database import Database
from lumbar.service.store.jobs import JobStore, LeaseLost, QueueRules, Work


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(tmp_path: Path, clock: Clock) -> JobStore:
    return JobStore(Database(tmp_path / "q.sqlite"), QueueRules(lease_seconds=30, backoff_seconds=(10, 60), wait_seconds=(2, 100)), clock)


def work(study: str = "s", fingerprint: str = "f", kind: str = "analyze") -> Work:
    return Work(study, kind, fingerprint, {"kind": "files"}, {})


def state(jobs: JobStore, job: str) -> tuple[str, int, str]:
    found = jobs.get(job)
    assert found is not None
    return found.state, found.tries, found.reason


def test_equal_work_is_one_job_and_new_images_replace_what_is_queued(jobs: JobStore) -> None:
    first, new = jobs.submit(work())
    assert new and jobs.submit(work()) == (first, False)
    second, new = jobs.submit(work(fingerprint="g"))
    assert new and state(jobs, first)[0] == "replaced" and jobs.knows("s", "g") and not jobs.knows("s", "f")
    assert jobs.submit(work()) == (first, True)  # the first set of images is the study again
    assert state(jobs, first)[0] == "queued" and state(jobs, second)[0] == "replaced"


def test_a_study_is_worked_on_by_one_worker_and_corrections_come_first(jobs: JobStore) -> None:
    jobs.submit(work("a"))
    jobs.submit(work("b"))
    jobs.submit(work("c", kind="correct"))
    first = jobs.claim("w1")
    assert first is not None and first.study == "c" and first.tries == 1
    jobs.submit(work("c", "g", "correct"))
    others = [jobs.claim("w2"), jobs.claim("w3")]
    assert [job.study for job in others if job] == ["a", "b"] and jobs.claim("w4") is None
    jobs.finish(first)
    again = jobs.claim("w4")
    assert again is not None and again.study == "c"


def test_a_silent_worker_loses_its_lease_and_can_change_nothing_any_more(jobs: JobStore, clock: Clock) -> None:
    job, _ = jobs.submit(work())
    held = jobs.claim("w1")
    assert held is not None
    clock.now += 29
    jobs.renew(held, "reading", 1, 2)
    clock.now += 29
    assert jobs.claim("w2") is None
    clock.now += 2
    taken = jobs.claim("w2")
    assert taken is not None and taken.tries == 2
    for change in (lambda: jobs.finish(held), lambda: jobs.fail(held, "x", True), lambda: jobs.wait(held, "x"), lambda: jobs.renew(held, "", 0, 0)):
        with pytest.raises(LeaseLost):
            change()
    jobs.finish(taken)
    assert state(jobs, job) == ("done", 2, "")


def test_three_tries_with_pauses_then_failed_with_the_reason(jobs: JobStore, clock: Clock) -> None:
    job, _ = jobs.submit(work())
    for pause in (10, 60):
        held = jobs.claim("w")
        assert held is not None
        jobs.fail(held, "OSError", final=False)
        assert state(jobs, job)[0] == "queued" and jobs.claim("w") is None
        clock.now += pause - 1
        assert jobs.claim("w") is None
        clock.now += 1
    held = jobs.claim("w")
    assert held is not None
    jobs.fail(held, "OSError", final=False)
    assert state(jobs, job) == ("failed", 3, "OSError")
    assert jobs.retry(job) and state(jobs, job) == ("queued", 0, "") and not jobs.retry(job)


def test_unusable_input_is_final(jobs: JobStore) -> None:
    job, _ = jobs.submit(work())
    held = jobs.claim("w")
    assert held is not None
    jobs.fail(held, "no series shows a spine", final=True)
    assert state(jobs, job) == ("failed", 1, "no series shows a spine")


def test_waiting_for_the_archive_does_not_count_and_gets_longer(jobs: JobStore, clock: Clock) -> None:
    job, _ = jobs.submit(work())
    for pause in (2, 100, 100, 100, 100):
        held = jobs.claim("w")
        assert held is not None and held.tries == 1
        jobs.wait(held, "the archive is away")
        clock.now += pause - 0.5
        assert jobs.claim("w") is None
        clock.now += 0.5
    assert state(jobs, job) == ("queued", 0, "the archive is away")


def test_a_job_that_kills_its_worker_three_times_has_failed(jobs: JobStore) -> None:
    job, _ = jobs.submit(work())
    for n in range(3):
        assert jobs.claim(f"w{n}") is not None
        jobs.worker_ended(f"w{n}", "the worker was ended by signal 9")
    assert state(jobs, job) == ("failed", 3, "the worker was ended by signal 9, 3 times")


def test_what_runs_when_the_service_stops_is_queued_again(jobs: JobStore) -> None:
    job, _ = jobs.submit(work())
    jobs.claim("w")
    jobs.give_back("w")  # told to stop
    assert state(jobs, job)[:2] == ("queued", 0)
    jobs.claim("w")
    jobs.service_started()  # killed
    assert state(jobs, job)[:2] == ("queued", 1)


def test_threads_never_share_a_job(tmp_path: Path) -> None:
    jobs = JobStore(Database(tmp_path / "q.sqlite"))
    for n in range(40):
        jobs.submit(work(f"s{n}"))
    taken: list[str] = []

    def take(name: str) -> None:
        own = JobStore(Database(tmp_path / "q.sqlite"))
        while (job := own.claim(name)) is not None:
            taken.append(job.study)
            own.finish(job)

    threads = [threading.Thread(target=take, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(f"s{n}" for n in range(40)) and jobs.counts() == {"done": 40}


def test_the_file_is_in_write_ahead_mode(tmp_path: Path) -> None:
    Database(tmp_path / "q.sqlite")
    assert sqlite3.connect(tmp_path / "q.sqlite").execute("PRAGMA journal_mode").fetchone() == ("wal",)
