"""Studies of a DICOMweb server, against a small server of the tests that responds as specified in PS3.18."""

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pydicom
import pytest
from dicom_factory import sagittal_matrix, stack_datasets

pytest.importorskip("dicomweb_client", reason="lumbar[cluster] is not installed")

from lumbar.batch.fetch import local_copy
from lumbar.batch.inputs import find_inputs
from lumbar.errors import UnreadableInput

UIDS = ("1.2.3.1", "1.2.3.2")


class Server(BaseHTTPRequestHandler):
    """QIDO-RS for studies and WADO-RS for one study."""

    requests: ClassVar[list] = []

    def do_GET(self):
        parts = urlsplit(self.path)
        self.requests.append((parts.path, parse_qs(parts.query)))
        if parts.path == "/dicom-web/studies":
            start = int(parse_qs(parts.query).get("offset", ["0"])[0])
            found = [{"0020000D": {"vr": "UI", "Value": [uid]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}} for uid in UIDS[start:]]
            self._answer("application/dicom+json", json.dumps(found).encode())
        elif (uid := parts.path.rsplit("/", 1)[-1]) in UIDS:
            self._answer('multipart/related; type="application/dicom"; boundary=xyz', self._multipart(uid))
        else:
            self.send_error(404)

    def _multipart(self, uid):
        body = b""
        for dataset in stack_datasets(np.ones((2, 4, 4), np.uint16), sagittal_matrix(), StudyInstanceUID=uid):
            buffer = io.BytesIO()
            dataset.save_as(buffer, enforce_file_format=True)
            body += b"--xyz\r\nContent-Type: application/dicom\r\n\r\n" + buffer.getvalue() + b"\r\n"
        return body + b"--xyz--\r\n"

    def _answer(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/dicom-web"
    server.shutdown()
    server.server_close()


def test_studies_are_found_named_by_their_uid_and_fetched_when_their_turn_comes(address):
    Server.requests.clear()
    found = find_inputs([f"dicomweb+{address}?ModalitiesInStudy=MR"])
    assert [study.name for study in found] == list(UIDS)
    assert Server.requests[0][1]["ModalitiesInStudy"] == ["MR"] and len(Server.requests) == 1
    with local_copy(found[1].source) as (folder, remote):
        assert remote
        headers = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
        assert {header.StudyInstanceUID for header in headers} == {UIDS[1]} and len(headers) == 2
        kept = folder
    assert not kept.exists()


def test_a_server_that_is_not_there_is_one_clear_error():
    with pytest.raises(UnreadableInput, match="cannot be searched"):
        find_inputs(["dicomweb+http://127.0.0.1:9/dicom-web"])
