"""The DICOM receiver, spoken to by pynetdicom's own client over loopback."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="lumbar[service] is not installed")

import pydicom
import pynetdicom
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.sop_class import CTImageStorage, MRImageStorage, Verification
from stand_in import small_study

from lumbar.service.config import ReceiverSettings
from lumbar.service.folders import DataFolder
from lumbar.service.intake import Intake
from lumbar.service.receiver import Receiver
from lumbar.service.store.database import Database
from lumbar.service.store.jobs import JobStore
from lumbar.service.store.studies import Search, StudyStore


class Node:
    def __init__(self, root: Path) -> None:
        self.folder = DataFolder(root)
        database = Database(self.folder.database)
        self.jobs, self.studies = JobStore(database), StudyStore(database)
        settings = ReceiverSettings(port=0, callers=("SCANNER",), quiet_seconds=0, most_mib=1, most_associations=2)
        self.receiver = Receiver(settings, self.folder, Intake(self.folder, self.studies, self.jobs), 0)
        self.server = self.receiver.listen()
        self.port = self.server.server_address[1]

    def associate(self, title: str = "SCANNER", called: str = "LUMBAR", kind: str = MRImageStorage):
        entity = pynetdicom.AE(ae_title=title)
        entity.add_requested_context(Verification)
        entity.add_requested_context(kind, ExplicitVRLittleEndian)
        return entity.associate("127.0.0.1", self.port, ae_title=called)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "data")
    yield made
    made.server.shutdown()


def test_a_study_that_is_sent_is_queued_once_and_again_with_late_images(node: Node, tmp_path: Path) -> None:
    first, second = (pydicom.dcmread(path) for path in sorted(small_study(tmp_path / "s", PatientName="Sent^Name").iterdir()))
    link = node.associate()
    assert link.send_c_echo().Status == 0 and link.send_c_store(first).Status == 0
    node.receiver.take_quiet_studies()
    node.receiver.take_quiet_studies()
    assert node.jobs.counts() == {"queued": 1}
    assert link.send_c_store(second).Status == 0 and link.send_c_store(second).Status == 0
    link.release()
    node.receiver.take_quiet_studies()
    assert node.jobs.counts() == {"queued": 1, "replaced": 1}
    (row,) = node.studies.search(Search())[1]
    queued = next(job for job in node.jobs.of_study(row["study"]) if job.state == "queued")
    assert len(list(node.folder.images(row["study"], queued.fingerprint).iterdir())) == 2
    assert (row["name"], row["origin"]) == ("Sent Name", "receiver") and "Sent" not in str(list(node.folder.root.rglob("*")))


def test_strangers_other_titles_and_other_images_are_refused(node: Node, tmp_path: Path) -> None:
    assert node.associate("STRANGER").is_rejected and node.associate(called="OTHER").is_rejected
    link = node.associate(kind=CTImageStorage)
    assert [str(context.abstract_syntax) for context in link.accepted_contexts] == [Verification]
    link.release()


def test_an_image_beyond_the_limit_ends_the_association(node: Node, tmp_path: Path) -> None:
    image = pydicom.dcmread(min(small_study(tmp_path / "s").iterdir()))
    image.Rows = image.Columns = 1024
    image.PixelData = bytes(2 * 1024 * 1024)
    link = node.associate()
    answer = link.send_c_store(image)
    assert "Status" not in answer and not any((node.folder.root / "receiving").iterdir())


def test_bytes_that_are_no_dicom_leave_it_listening(node: Node) -> None:
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", node.port), 2) as link:
            link.sendall(bytes([1, 0]) + os.urandom(200))
    for _ in range(100):  # until those associations have ended on their own
        link = node.associate()
        if link.is_established:
            break
        time.sleep(0.3)
    assert link.send_c_echo().Status == 0
    link.release()
