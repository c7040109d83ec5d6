"""Orthanc on a loopback network of its own, with throw-away data, and senders to it: what `scripts/hospital` and the benchmarks of the service share."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pydicom
from pydicom.uid import MRImageStorage

from lumbar.io.dicom_files import looks_like_dicom, quiet_pydicom
from lumbar.io.sources import gathered
from lumbar.service.config import ArchiveSettings
from lumbar.service.orthanc import Orthanc

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
HTTP, DICOM = 8042, 4242
USER = "node"
INSIDE = "LUMBAR_LOOPBACK"  # set in the process that has the network of its own


def missing_tools() -> str:
    """The programs that are not installed, for people; empty if all are."""
    missing = [name for name in ("Orthanc", "storescu", "echoscu", "unshare", "ip") if shutil.which(name) is None]
    if missing or not PLUGIN.exists():
        return f"missing: {', '.join(missing) or PLUGIN}; apt-get install orthanc orthanc-dicomweb dcmtk iproute2"
    return ""


def isolated() -> bool:
    """Whether this process is alone on its network. Orthanc binds to all addresses, so it is started on no other."""
    return INSIDE in os.environ


def run_isolated(words: Sequence[str]) -> int:
    """Run this command again in a network that holds loopback alone; returns its exit code."""
    inner = 'ip link set lo up && exec "$@"'
    command = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c", inner, "sh", sys.executable, *words]
    return subprocess.call(command, env={**os.environ, INSIDE: "1"})


class LoopbackOrthanc:
    """An Orthanc with one user and DICOMweb, which can be killed and started again on the same data."""

    def __init__(self, folder: Path, password: str, stable_seconds: int = 2) -> None:
        self.folder = folder
        self.password_file = folder / "password"
        self.password_file.write_text(password)
        settings = {
            "Name": "LUMBAR-TEST", "StorageDirectory": str(folder / "store"), "IndexDirectory": str(folder / "store"), "HttpPort": HTTP, "DicomPort": DICOM,
            "DicomAet": "ORTHANC", "AuthenticationEnabled": True, "RegisteredUsers": {USER: password}, "Plugins": [str(PLUGIN)],
            "StableAge": stable_seconds, "DicomAlwaysAllowStore": True, "OverwriteInstances": False, "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }  # fmt: skip
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self.client = Orthanc(ArchiveSettings(f"http://127.0.0.1:{HTTP}", USER), password)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until both of its ports answer."""
        with (self.folder / "orthanc.log").open("a") as log:
            self.process = subprocess.Popen(["Orthanc", str(self.folder / "orthanc.json")], stdout=log, stderr=log)
        wait(lambda: self._answers() and self._echoes(), 120, "Orthanc does not start")

    def kill(self) -> None:
        """End it as a power failure would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Let it end."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)

    def _answers(self) -> bool:
        try:
            return self.client.last_change() >= 0
        except httpx.HTTPError:
            return False

    def _echoes(self) -> bool:
        """Whether it answers a C-ECHO: its DICOM port opens after its HTTP port."""
        return subprocess.run([dcmtk("echoscu"), "-aec", "ORTHANC", "127.0.0.1", str(DICOM)], check=False, capture_output=True).returncode == 0


def dcmtk(tool: str) -> str:
    """The tool of Debian's dcmtk: pynetdicom puts others of the same name into virtual environments."""
    return shutil.which(tool, path="/usr/local/bin:/usr/bin:/bin") or tool


def completed(study: Path, folder: Path) -> None:
    """Copy the images of `study` into `folder` as storescu takes them: uncompressed, with what stripped files lack."""
    folder.mkdir()
    with gathered([study]) as sources, quiet_pydicom():
        for number, path in enumerate(path for path in sources.files if looks_like_dicom(path)):
            data = pydicom.dcmread(path, force=True)
            if "Rows" not in data:
                continue
            if not data.get("SOPClassUID"):
                data.SOPClassUID = MRImageStorage
                data.file_meta.MediaStorageSOPClassUID = MRImageStorage
            if not data.get("Modality"):
                data.Modality = "MR"
            if data.file_meta.TransferSyntaxUID.is_compressed:
                data.decompress(generate_instance_uid=False)
            data.save_as(folder / f"{number:06d}.dcm", enforce_file_format=True)


def sent(folder: Path, title: str = "STORESCU") -> bool:
    """Send the images in `folder` by C-STORE; whether all were taken."""
    command = [dcmtk("storescu"), "+sd", "-aet", title, "-aec", "ORTHANC", "127.0.0.1", str(DICOM), str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def wait(until: Callable[[], object], seconds: float, complaint: str, pause: float = 0.2) -> None:
    """Wait until `until()` holds; ends the program with `complaint` after `seconds`."""
    limit = time.monotonic() + seconds
    while not until():
        if time.monotonic() > limit:
            raise SystemExit(complaint)
        time.sleep(pause)
