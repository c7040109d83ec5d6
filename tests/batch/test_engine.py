"""The engine with quick jobs in place of analyses: poison, lost workers, resuming, and tables that do not depend on how they were made."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

pytest.importorskip("distributed", reason="lumbar[cluster] is not installed")

from distributed.comm.core import CommClosedError

from lumbar.batch import run as run_module
from lumbar.batch.engine import Flow
from lumbar.batch.inputs import find_inputs
from lumbar.batch.run import BatchOptions, run_batch
from lumbar.batch.work import EngineOptions, JobOptions, Limits, Work
from lumbar.errors import UsageError

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def job_of_the_tests(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(run_module, "models_used", lambda *_: {"cartoon 1": "0" * 64})


def studies(folder, values):
    for name, word in values.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "value.txt").write_text(word)
    return folder


def options(workers=1, seconds=20.0, memory_mb=600.0, **more):
    engine = EngineOptions(workers, limits=Limits(seconds, memory_mb))
    return BatchOptions(JobOptions(job="batch_jobs:MeasureJob"), engine, quiet=True, **more)


def run(data, out, **wanted):
    return run_batch(find_inputs([str(data)]), out, options(**wanted))


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def started(out):
    return [line.split()[0] for line in (out / "started.log").read_text().splitlines()]


def test_poisoned_studies_cost_their_own_rows_only(tmp_path):
    good = {f"s{number}": str(number + 5) for number in range(4)}
    broken = {"a_hang": "hang", "b_eat": "eat", "c_crash": "crash", "d_unreadable": "unreadable", "f_c": "hang_in_c"}
    data = studies(tmp_path / "in", {**good, **broken, "e_once": "once:9"})
    result = run(data, tmp_path / "out", workers=2, seconds=5.0, memory_mb=300.0)
    status = {row["study"]: row for row in rows(tmp_path / "out" / "status.csv")}
    assert {name for name, row in status.items() if row["status"] == "done"} == {*good, "e_once"}
    assert "stopped after 5 s" in status["a_hang"]["reason"] and "stopped after 5 s" in status["f_c"]["reason"]
    assert "the limit is 300 MB" in status["b_eat"]["reason"] and float(status["b_eat"]["peak_mb"]) < 3000
    assert "SIGSEGV" in status["c_crash"]["reason"]
    assert "no MR slice can be read" in status["d_unreadable"]["reason"]
    assert status["e_once"]["attempts"] == "2"
    assert {row["attempts"] for name, row in status.items() if name in broken} == {"2"}
    assert {row["study"]: float(row["value"]) for row in rows(tmp_path / "out" / "results.csv")} == {**{n: float(v) for n, v in good.items()}, "e_once": 9.0}
    assert result.count("failed") == 5
    page = (tmp_path / "out" / "index.html").read_text()
    assert "SIGSEGV" in page and '"study":"s3"' in page


def test_models_are_loaded_once_a_worker(tmp_path):
    data = studies(tmp_path / "in", {f"s{number}": "7" for number in range(5)})
    run(data, tmp_path / "out")
    calls = [line.split()[1:] for line in (tmp_path / "out" / "started.log").read_text().splitlines()]
    assert len({pid for pid, _ in calls}) == 1 and [int(call) for _, call in calls] == [1, 2, 3, 4, 5]


def test_tables_are_independent_of_the_number_of_workers(tmp_path):
    data = studies(tmp_path / "in", {f"s{number:02d}": f"slow:{0.05 * (number % 3)}:{number}.25" for number in range(12)})
    made = []
    for workers in (1, 3):
        out = tmp_path / f"out{workers}"
        run(data, out, workers=workers)
        made.append([(out / name).read_bytes() for name in ("results.csv", "results.parquet", "people.csv")])
    assert made[0] == made[1]
    assert [row["value"] for row in rows(tmp_path / "out3" / "results.csv")] == [f"{number}.25" for number in range(12)]


def test_resume_does_only_what_is_missing_or_has_changed(tmp_path):
    data = studies(tmp_path / "in", {"a": "1", "b": "2", "c": "crash", "d": "4"})
    out = tmp_path / "out"
    run(data, out)
    (out / "started.log").unlink()
    (data / "a" / "value.txt").write_text("11")
    os.utime(data / "b" / "value.txt", (1, 1))  # touched, but the same bytes
    studies(data, {"e": "5"})
    result = run(data, out, resume=True)
    assert sorted(started(out)) == ["a", "e"] and (result.done_now, result.changed) == (2, 1)
    assert {row["study"]: row["value"] for row in rows(out / "results.csv")} == {"a": "11", "b": "2", "d": "4", "e": "5"}
    (out / "started.log").unlink()
    run(data, out, resume=True, retry_failed=True)
    assert started(out) == ["c", "c"]
    (out / "started.log").unlink()
    (data / "c" / "value.txt").write_text("3")  # a changed input is done again though it failed before
    run(data, out, resume=True)
    assert started(out) == ["c"]


def test_another_model_or_request_does_everything_again(tmp_path, monkeypatch):
    data, out = studies(tmp_path / "in", {"a": "1", "b": "2"}), tmp_path / "out"
    run(data, out)
    monkeypatch.setattr(run_module, "models_used", lambda *_: {"cartoon 2": "1" * 64})
    assert run(data, out, resume=True).changed == 2
    assert run(data, out, resume=True).done_now == 0


def test_an_existing_output_folder_is_rejected(tmp_path):
    data, out = studies(tmp_path / "in", {"a": "1"}), tmp_path / "out"
    out.mkdir()
    (out / "thesis.doc").touch()
    with pytest.raises(UsageError, match="--resume"):
        run(data, out)
    with pytest.raises(UsageError, match="holds no batch"):
        run(data, out, resume=True)
    assert [path.name for path in out.iterdir()] == ["thesis.doc"]


@pytest.mark.slow
def test_killed_workers_lose_no_results(tmp_path):
    """Dask's worker processes are killed again and again; every study is finished, and the table equals that of an undisturbed run."""
    data = studies(tmp_path / "in", {f"s{number:02d}": f"slow:0.6:{number}" for number in range(20)})
    run(data, tmp_path / "quiet", workers=2)
    over, killed = threading.Event(), []
    killer = threading.Thread(target=_kill_workers, args=(over, killed))
    killer.start()
    try:
        result = run(data, tmp_path / "out", workers=2)
    finally:
        over.set()
        killer.join()
    assert len(killed) >= 3
    assert result.count("done") == 20
    assert (tmp_path / "out" / "results.csv").read_bytes() == (tmp_path / "quiet" / "results.csv").read_bytes()
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.startswith("s") and p.is_dir() and not (p / "findings.json").is_file()]
    assert not any((tmp_path / "out" / ".batch" / "stage").iterdir())  # nothing that a killed worker left half-written


def _kill_workers(over, killed):
    time.sleep(2.0)
    while not over.is_set():
        workers = [child for child in psutil.Process().children(recursive=True) if "lumbar.batch.study_process" in " ".join(_command(child))]
        for study_process in workers[:1]:
            worker = study_process.parent()  # the Dask worker; its study process ends by itself
            worker.kill()
            killed.append(worker.pid)
        over.wait(1.0)


def _command(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


SCRIPT = """
import sys
from pathlib import Path
from lumbar.batch import run as run_module
run_module.models_used = lambda *_: {"cartoon 1": "0" * 64}
sys.path.insert(0, sys.argv[3])
import test_engine
if __name__ == "__main__":
    test_engine.run(Path(sys.argv[1]), Path(sys.argv[2]), workers=2, resume=Path(sys.argv[2]).exists())
"""


@pytest.mark.slow
def test_an_interrupted_command_resumes(tmp_path):
    """Scheduler and command are one process with local workers: it is killed twice, and the third call finishes, with each study analysed once."""
    data = studies(tmp_path / "in", {f"s{number:02d}": f"slow:0.3:{number}" for number in range(20)})
    out, script = tmp_path / "out", tmp_path / "main.py"
    script.write_text(SCRIPT)
    for done in (4, 10):
        command = subprocess.Popen([sys.executable, str(script), str(data), str(out), str(HERE)])
        _wait_for(lambda done=done: len(list((out / ".batch" / "records").glob("*.json"))) >= done)
        command.send_signal(signal.SIGKILL)
        command.wait()
    _wait_for(lambda: not _running(out))  # orphans end by themselves
    before = {path.name: path.read_text() for path in (out / ".batch" / "records").glob("*.json")}
    result = run(data, out, workers=2, resume=True)
    assert result.count("done") == 20 and result.done_now == 20 - len(before)
    assert all((out / ".batch" / "records" / name).read_text() == text for name, text in before.items())
    assert [row["value"] for row in rows(out / "results.csv")] == [str(number) for number in range(20)]
    assert not any((out / ".batch" / "stage").iterdir())


@pytest.mark.slow
def test_a_killed_scheduler_is_reported_and_the_next_one_resumes(tmp_path):
    """A cluster of its own: the scheduler is killed twice while studies are done; with --resume and a new one all are finished."""
    data = studies(tmp_path / "in", {f"s{number:02d}": f"slow:0.5:{number}" for number in range(16)})
    out = tmp_path / "out"
    for done in (3, 8):
        with _cluster(tmp_path) as (address, scheduler):
            killer = threading.Thread(target=lambda done=done, scheduler=scheduler: (_wait_for(lambda: _records(out) >= done), scheduler.kill()))
            killer.start()
            with pytest.raises(UsageError, match="--resume"):
                run_batch(find_inputs([str(data)]), out, _remote(address, out.exists()))
            killer.join()
        assert done <= _records(out) < 16
    with _cluster(tmp_path) as (address, _):
        result = run_batch(find_inputs([str(data)]), out, _remote(address, True))
    assert result.count("done") == 16
    assert [row["value"] for row in rows(out / "results.csv")] == [str(number) for number in range(16)]


def test_a_scheduler_that_is_not_there_is_one_clear_error(tmp_path):
    data = studies(tmp_path / "in", {"a": "1"})
    with pytest.raises(UsageError, match="no Dask scheduler responds"):
        run_batch(find_inputs([str(data)]), tmp_path / "out", _remote("tcp://127.0.0.1:9", False))


def test_a_connection_that_breaks_during_a_call_is_a_lost_scheduler(tmp_path):
    class Broken:
        def nthreads(self):
            raise CommClosedError("Stream is closed")

    work = Work("a", str(tmp_path), str(tmp_path), JobOptions(), Limits(), "run", "plan")
    with pytest.raises(UsageError, match=r"scheduler was lost.*--resume"):
        list(Flow(Broken(), None, EngineOptions()).run([work]))


def _records(out):
    return len(list((out / ".batch" / "records").glob("*.json")))


def _remote(address, resume):
    engine = EngineOptions(scheduler=address, limits=Limits(20.0, 600.0), patience_s=3.0)
    return BatchOptions(JobOptions(job="batch_jobs:MeasureJob"), engine, quiet=True, resume=resume)


@contextmanager
def _cluster(folder):
    """A scheduler and two workers as processes of their own, as on a cluster."""
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    start = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    scheduler = subprocess.Popen(start, **quiet)
    _wait_for(lambda: file.is_file() and file.stat().st_size > 0)
    words = ["--scheduler-file", str(file), "--nworkers", "2", "--nthreads", "1", "--no-dashboard", "--death-timeout", "5", "--local-directory", str(folder)]
    worker = subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_worker", *words], **quiet)
    try:
        yield json.loads(file.read_text())["address"], scheduler
    finally:
        for process in (worker, scheduler):
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def _running(out):
    pids = {int(line.split()[1]) for line in (out / "started.log").read_text().splitlines()}
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def _wait_for(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)


def test_findings_without_values_leave_an_empty_table(tmp_path):
    data = studies(tmp_path / "in", {"a": "unreadable"})
    assert run(data, tmp_path / "out").values == 0
    assert (tmp_path / "out" / "results.csv").read_text().startswith('"study"') or (tmp_path / "out" / "results.csv").read_text().startswith("study")
    assert json.loads((tmp_path / "out" / ".batch" / "records" / "a.json").read_text())["status"] == "failed"
