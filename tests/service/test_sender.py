"""Results sent to a DICOM node, which pynetdicom's own server plays on loopback; a study that came by C-STORE comes back as objects."""

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pynetdicom", reason="lumbar[service] is not installed")
pytest.importorskip("highdicom", reason="lumbar[dicom] is not installed")

from dicom_factory import save, slice_dataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from stand_in import StandIn, small_study

from lumbar.cli.main import main
from lumbar.service.config import ReceiverSettings, ResultsSettings, ServiceConfig
from lumbar.service.delivery import Away, Refused
from lumbar.service.folders import DataFolder
from lumbar.service.intake import Intake
from lumbar.service.receiver import Receiver
from lumbar.service.sender import Sender
from lumbar.service.store.database import Database
from lumbar.service.store.jobs import JobStore, QueueRules
from lumbar.service.store.studies import StudyStore
from lumbar.service.task import Progress, Task
from lumbar.service.worker import Outside, Worker


class Pacs:
    """Takes structured reports, in implicit transfer syntax alone, and answers with the status that it is told."""

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.status = 0x0000
        entity = AE(ae_title="PACS")
        entity.require_called_aet = True
        entity.add_supported_context(ComprehensiveSRStorage, ImplicitVRLittleEndian)
        self.server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        self.settings = ResultsSettings(port=self.server.server_address[1])

    def _store(self, event) -> int:
        if self.status == 0x0000:
            self.stored.append(str(event.dataset.SOPInstanceUID))
        return self.status


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    made = Pacs()
    yield made
    made.server.shutdown()


def report(path: Path, **tags) -> Path:
    made = slice_dataset(np.zeros((2, 2), np.uint16), (0, 0, 0), (1, 0, 0), (0, 1, 0), SOPClassUID=ComprehensiveSRStorage, Modality="SR", **tags)
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    del made.PixelData
    return save(made, path)


def test_objects_arrive_and_a_duplicate_is_no_error(pacs: Pacs, tmp_path: Path) -> None:
    files = [report(tmp_path / "a.dcm", SOPInstanceUID="1.2.1"), report(tmp_path / "b.dcm", SOPInstanceUID="1.2.2")]
    Sender(pacs.settings).store(files)
    assert pacs.stored == ["1.2.1", "1.2.2"]
    pacs.status = 0x0111
    Sender(pacs.settings).store(files)


def test_a_full_or_silent_node_is_waited_for_and_a_refusal_is_an_error(pacs: Pacs, tmp_path: Path) -> None:
    files = [report(tmp_path / "a.dcm")]
    pacs.status = 0xA700
    with pytest.raises(Away, match="no room"):
        Sender(pacs.settings).store(files)
    pacs.status = 0x0124
    with pytest.raises(Refused, match="1 of 1"):
        Sender(pacs.settings).store(files)
    with pytest.raises(Away, match="refuses the association"):
        Sender(ResultsSettings(port=pacs.settings.port, title="OTHER")).store(files)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(Away, match="does not answer"):
            Sender(ResultsSettings(port=unused.getsockname()[1])).store(files)


def test_an_object_of_a_kind_that_the_node_does_not_take_is_refused(pacs: Pacs, tmp_path: Path) -> None:
    image = min(small_study(tmp_path / "s").iterdir())
    with pytest.raises((Refused, Away)):
        Sender(pacs.settings).store([image])
    with pytest.raises(Refused, match="1 of 2"):
        Sender(pacs.settings).store([image, report(tmp_path / "a.dcm", SOPInstanceUID="1.2.3")])
    assert pacs.stored == ["1.2.3"]


class WithReport(StandIn):
    """Writes a report that a node takes."""

    def run(self, task: Task, progress: Progress) -> None:
        super().run(task, progress)
        report(task.result / "dicom" / "measurements_sr.dcm", SOPInstanceUID="1.2.9")


@pytest.mark.parametrize("configured", [True, False])
def test_results_of_a_received_study_are_sent_once_where_a_node_is_configured(pacs: Pacs, tmp_path: Path, configured: bool) -> None:
    folder = DataFolder(tmp_path / "data")
    database = Database(folder.database)
    rules = QueueRules(wait_seconds=(0,), backoff_seconds=(0,))
    jobs, studies = JobStore(database, rules), StudyStore(database)
    receiver = Receiver(ReceiverSettings(port=0, quiet_seconds=0), folder, Intake(folder, studies, jobs), 0)
    server = receiver.listen()
    entity = AE(ae_title="SCANNER")
    small_study(tmp_path / "s")
    entity.add_requested_context("1.2.840.10008.5.1.4.1.1.4", ExplicitVRLittleEndian)
    link = entity.associate("127.0.0.1", server.server_address[1], ae_title="LUMBAR")
    for path in sorted((tmp_path / "s").iterdir()):
        assert link.send_c_store(path).Status == 0
    link.release()
    receiver.take_quiet_studies()
    server.shutdown()
    outside = Outside(results=Sender(pacs.settings)) if configured else Outside()
    engine = WithReport()
    worker = Worker("w", ServiceConfig(folder.root, least_free_gib=0, queue=rules), folder, (jobs, studies), engine, outside)
    pacs.status = 0xA700
    assert worker.step()
    if configured:
        assert jobs.counts() == {"queued": 1} and "no room" in jobs.changed_since(0)[0].reason
        pacs.status = 0x0000
        assert worker.step()
    assert jobs.counts() == {"done": 1} and engine.runs == 1
    assert pacs.stored == (["1.2.9"] if configured else [])
    (job,) = jobs.changed_since(0)
    assert studies.versions(job.study)[0].delivered is (True if configured else None)


def test_a_node_that_is_written_wrongly_is_one_clear_error(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit) as left:
        main(["serve", "--data", str(tmp_path / "d"), "--send-results", "PACS:104"])
    assert left.value.code == 2 and "PACS@192.0.2.7:104" in capsys.readouterr().err
