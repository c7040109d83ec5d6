"""A worker and the follower of an archive, with an analysis that stands in for the real one."""

import errno
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("httpx", reason="lumbar[service] is not installed")
pytest.importorskip("highdicom", reason="lumbar[dicom] is not installed")

import httpx
from stand_in import Archive, StandIn, small_study

from lumbar.service.config import ArchiveSettings, ServiceConfig
from lumbar.service.folders import DataFolder
from lumbar.service.follower import Follower
from lumbar.service.intake import Intake
from lumbar.service.store.database import Database
from lumbar.service.store.jobs import JobStore, QueueRules
from lumbar.service.store.kept import KeptValues
from lumbar.service.store.studies import Search, StudyStore
from lumbar.service.worker import Outside, Worker


@dataclass
class Node:
    """The parts of a service, made anew on the same folder by `again`."""

    root: Path
    archive: Archive
    engine: StandIn

    def __post_init__(self) -> None:
        self.config = ServiceConfig(self.root, least_free_gib=0, queue=QueueRules(backoff_seconds=(0, 0), wait_seconds=(0,)))
        self.folder = DataFolder(self.root)
        database = Database(self.folder.database)
        self.jobs, self.studies = JobStore(database, self.config.queue), StudyStore(database)
        self.intake = Intake(self.folder, self.studies, self.jobs)
        settings = ArchiveSettings(reconcile_seconds=3600)
        self.follower = Follower(self.archive, self.intake, KeptValues(database), settings)
        self.worker = Worker("w", self.config, self.folder, (self.jobs, self.studies), self.engine, Outside(self.archive))

    def again(self) -> "Node":
        return Node(self.root, self.archive, self.engine)

    def all_rows(self) -> list[dict[str, object]]:
        return [dict(row) for row in self.studies.search(Search())[1]]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "data", Archive(), StandIn())


def test_a_study_is_fetched_analyzed_and_delivered_once(node: Node, tmp_path: Path) -> None:
    node.archive.add("x", small_study(tmp_path / "x"))
    node.follower.step()
    assert node.worker.step() and not node.worker.step()
    assert node.archive.stored == [["measurements_sr.dcm"]] and node.engine.runs == 1
    (row,) = node.all_rows()
    assert (row["state"], row["quality"], row["name"], row["version"]) == ("done", "doubtful", "Name x", 1)
    assert "severe" in str(row["worst"]) and node.studies.versions(str(row["study"]))[0].delivered is True
    later = node.again()
    node.archive.events.append("x")  # the stored results make the study stable again
    later.follower.step()
    later.follower.reconcile()
    assert not later.worker.step() and len(node.archive.stored) == 1


def test_more_images_are_another_job_and_another_version(node: Node, tmp_path: Path) -> None:
    node.archive.add("x", small_study(tmp_path / "x"))
    node.follower.step()
    node.worker.step()
    node.archive.add("x", small_study(tmp_path / "y"), ("a", "b", "c"))
    node.follower.step()
    assert node.worker.step()
    (row,) = node.all_rows()
    assert row["versions"] == 2 and len(node.archive.stored) == 2


def test_a_lost_event_is_found_by_reconciling(node: Node, tmp_path: Path) -> None:
    node.archive.add("x", small_study(tmp_path / "x"), event=False)
    node.follower.reconcile()
    assert node.worker.step() and len(node.archive.stored) == 1


def test_an_archive_with_a_new_index_is_read_from_the_start(node: Node, tmp_path: Path) -> None:
    for name in ("x", "y", "z"):
        node.archive.add(name, small_study(tmp_path / name), (name,))
    node.follower.step()
    node.archive.events = []
    node.archive.add("n", small_study(tmp_path / "n"), ("n",))
    again = node.again()
    again.follower._follow()
    assert len(node.all_rows()) == 4


def test_an_archive_that_is_away_costs_no_try_and_no_second_analysis(node: Node, tmp_path: Path) -> None:
    node.archive.add("x", small_study(tmp_path / "x"))
    node.follower.step()
    node.archive.away = True
    node.follower.step()  # says so in the log and goes on
    for _ in range(5):
        node.worker.step()
    assert node.engine.runs == 0
    node.archive.away = False
    node.archive.broken = httpx.ConnectError("gone")
    for _ in range(5):
        node.worker.step()
    (row,) = node.all_rows()
    assert node.engine.runs == 1 and row["state"] == "queued" and "waits" in str(row["reason"])
    node.archive.broken = None
    later = node.again()
    assert later.worker.step() and node.engine.runs == 1 and len(node.archive.stored) == 1


def test_a_failing_analysis_is_tried_three_times_and_its_message_stays_inside(node: Node, tmp_path: Path) -> None:
    node.archive.add("x", small_study(tmp_path / "x"))
    node.follower.step()
    node.engine.errors = [ValueError("Doe^Jane") for _ in range(5)]
    for _ in range(5):
        node.worker.step()
    (row,) = node.all_rows()
    assert node.engine.runs == 3 and (row["state"], row["reason"]) == ("failed", "ValueError")


def test_unusable_images_fail_at_once_with_a_reason_that_names_no_folder(node: Node, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    node.archive.add("x", tmp_path / "x")
    node.follower.step()
    node.worker.step()
    node.worker.step()
    (row,) = node.all_rows()
    assert row["state"] == "failed" and str(tmp_path) not in str(row["reason"]) and "holds nothing" in str(row["reason"]) and node.engine.runs == 1


def test_a_full_disk_costs_no_try(node: Node, tmp_path: Path) -> None:
    node.archive.add("x", small_study(tmp_path / "x"))
    node.follower.step()
    node.engine.errors = [OSError(errno.ENOSPC, "No space left on device") for _ in range(4)]
    for _ in range(5):
        node.worker.step()
    (row,) = node.all_rows()
    assert node.engine.runs == 5 and row["state"] == "done" and len(node.archive.stored) == 1


def test_no_work_is_begun_without_room(node: Node, tmp_path: Path) -> None:
    node.archive.add("x", small_study(tmp_path / "x"))
    node.follower.step()
    node.folder.free_gib = lambda: -1.0
    assert not node.worker.step() and node.engine.runs == 0


def test_a_kill_between_result_and_delivery_sends_the_same_result(node: Node, tmp_path: Path) -> None:
    node.archive.add("x", small_study(tmp_path / "x"))
    node.follower.step()
    node.archive.broken = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        node.worker.step()
    node.jobs.service_started()
    node.archive.broken = None
    again = node.again()
    assert again.worker.step()
    (row,) = node.all_rows()
    assert node.engine.runs == 1 and row["versions"] == 1 and row["state"] == "done" and len(node.archive.stored) == 1


def test_files_are_kept_without_names_and_equal_files_are_one_job(node: Node, tmp_path: Path) -> None:
    source = small_study(tmp_path / "Doe Jane")
    copy = small_study(tmp_path / "copy")
    for path, other in zip(sorted(source.iterdir()), sorted(copy.iterdir()), strict=True):
        other.write_bytes(path.read_bytes())
    first = node.intake.from_files(source, "upload", "anna")
    second = node.intake.from_files(copy, "upload", "anna")
    assert first.study == second.study and first.job == second.job and not first.known and second.known
    assert node.worker.step() and not node.worker.step()
    kept = [path.name for path in node.folder.study(first.study).rglob("*.dcm") if "images" in path.parts]
    assert sorted(kept) == ["000000.dcm", "000001.dcm"] and "Doe" not in str(list(node.root.rglob("*")))
    assert node.archive.stored == []  # nobody asked for the results of an upload


def test_two_studies_in_one_upload_are_rejected(node: Node, tmp_path: Path) -> None:
    small_study(tmp_path / "in" / "a")
    small_study(tmp_path / "in" / "b", StudyInstanceUID="1.2.9")
    with pytest.raises(Exception, match="2 studies"):
        node.intake.from_files(tmp_path / "in", "upload")


def test_studies_of_one_person_find_each_other(node: Node, tmp_path: Path) -> None:
    for number, (uid, person, date) in enumerate([("1.1", "p", "20200101"), ("1.2", "p", "20210101"), ("1.3", "q", "20190101"), ("1.4", "", "20180101")]):
        node.intake.from_files(small_study(tmp_path / str(number), StudyInstanceUID=uid, PatientID=person, StudyDate=date), "upload")
        node.worker.step()
    later = node.folder.key_of_study("1.2")
    assert [row["study"] for row in node.studies.earlier(later)] == [node.folder.key_of_study("1.1")]
    assert node.studies.earlier(node.folder.key_of_study("1.1")) == [] and node.studies.earlier(node.folder.key_of_study("1.4")) == []


def test_the_engine_is_given_the_latest_earlier_result_of_the_same_person(node: Node, tmp_path: Path) -> None:
    tasks = []
    run = node.engine.run

    def noted(task, progress) -> None:
        tasks.append(task)
        run(task, progress)

    node.engine.run = noted
    for number, (date, person) in enumerate((("20200101", "A"), ("20220101", "A"), ("20210101", "B"), ("20230101", "A"), ("20230101", ""))):
        study = small_study(tmp_path / str(number), StudyInstanceUID=f"1.2.{number}", StudyDate=date, PatientID=person)
        node.intake.from_files(study, "upload")
        assert node.worker.step()
    assert [task.earlier and task.earlier[1] for task in tasks] == [None, "2020-01-01", None, "2022-01-01", None]
    assert tasks[3].earlier[0] == tasks[1].result and (tasks[1].result / "findings.json").is_file()
