"""A DICOM receiver for sites without an archive: C-ECHO, C-STORE of MR images, a quiet period, titles that may call, limits, TLS.

Images lie in `receiving/STUDY/` until nothing has come for a day; whenever a study has been quiet for a while and holds other images than before, all of
them are taken in, so that late images make a new analysis of the whole study.
"""

import hashlib
import io
import logging
import os
import shutil
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import AllTransferSyntaxes, EnhancedMRImageStorage, MRImageStorage
from pynetdicom import AE, evt

from lumbar.errors import LumbarError, UsageError
from lumbar.io.dicom_files import quiet_pydicom
from lumbar.service.config import ReceiverSettings
from lumbar.service.folders import DataFolder
from lumbar.service.intake import Intake

_LOG = logging.getLogger("lumbar.service")
_VERIFICATION = "1.2.840.10008.1.1"  # C-ECHO
_SUCCESS, _OUT_OF_RESOURCES, _CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000
_TAGS: list[Any] = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Rows"]
_IMAGES = (MRImageStorage, EnhancedMRImageStorage)
_TIMEOUT_SECONDS = 30
_KEPT_SECONDS = 86400.0
_QUEUED = ".queued"  # names of the images that were taken in
_LOOK_SECONDS = 1.0


class Receiver:
    """Listens on one port."""

    def __init__(self, settings: ReceiverSettings, folder: DataFolder, intake: Intake, least_free_gib: float) -> None:
        self._settings, self._folder, self._intake, self._least_free_gib = settings, folder, intake, least_free_gib
        self._root = folder.root / "receiving"
        self._root.mkdir(exist_ok=True, mode=0o700)
        self._coming: dict[int, int] = {}  # association → bytes since its last image

    def run(self, stop: threading.Event) -> None:
        """Receive until `stop`."""
        server = self.listen()
        try:
            while not stop.wait(_LOOK_SECONDS):
                self.take_quiet_studies()
        finally:
            server.shutdown()

    def listen(self) -> Any:
        """Start to listen; the server has `server_address` and `shutdown`.

        Raises:
            UsageError: the port cannot be used.
        """
        settings = self._settings
        entity = AE(ae_title=settings.title)
        entity.require_called_aet, entity.require_calling_aet = True, list(settings.callers)
        entity.maximum_associations = settings.most_associations
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _TIMEOUT_SECONDS
        entity.add_supported_context(_VERIFICATION)
        for kind in _IMAGES:
            entity.add_supported_context(kind, AllTransferSyntaxes)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_DATA_RECV, self._count), (evt.EVT_CONN_CLOSE, self._forget)]
        try:
            return entity.start_server((settings.host, settings.port), block=False, evt_handlers=handlers, ssl_context=_tls(settings))
        except OSError as error:
            raise UsageError(f"the receiver cannot listen on {settings.host}:{settings.port} ({error.strerror}); choose another port") from error

    def take_quiet_studies(self) -> None:
        """Queue the studies for which no image arrived during the quiet period."""
        for folder in self._root.iterdir():
            names = sorted(path.name for path in folder.glob("*.dcm"))
            silent = time.time() - max(path.stat().st_mtime for path in (folder, *folder.glob("*.dcm")))
            if silent > _KEPT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
            elif names and silent >= self._settings.quiet_seconds and names != _read(folder / _QUEUED):
                self._take(folder, names)

    def _take(self, folder: Path, names: list[str]) -> None:
        stage = self._folder.uploads / f"received-{folder.name}"
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        for name in names:
            os.link(folder / name, stage / name)
        try:
            taken = self._intake.from_files(stage, "receiver", after={"send_results": True})
            _LOG.info("study %s was received: %d images, job %s", taken.study, len(names), taken.job)
        except LumbarError:
            _LOG.warning("the images received as %s cannot be used", folder.name)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
        (folder / _QUEUED).write_text("\n".join(names), encoding="utf-8")

    def _store(self, event: Any) -> int:
        """Store one image; it is on the disk before it is confirmed."""
        self._coming.pop(id(event.assoc), None)
        if self._folder.free_gib() < self._least_free_gib:
            return _OUT_OF_RESOURCES
        try:
            data = event.encoded_dataset()
            with quiet_pydicom():
                header = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, specific_tags=_TAGS)
            uids = [str(header.StudyInstanceUID), str(header.SeriesInstanceUID), str(header.SOPInstanceUID)]
            rows = header.get("Rows")
        except Exception as error:  # a broken data set can make pydicom raise nearly anything
            _LOG.warning("an image that was sent cannot be read (%s)", type(error).__name__)
            return _CANNOT_UNDERSTAND
        if not all(uids) or rows is None:
            return _CANNOT_UNDERSTAND
        folder = self._root / self._folder.key_of_study(uids[0])
        name = hashlib.sha256("\n".join(uids).encode()).hexdigest()[:32]
        try:
            folder.mkdir(exist_ok=True, mode=0o700)
            part = folder / f"{name}.{threading.get_ident()}.part"
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(folder / f"{name}.dcm")
        except OSError as error:
            _LOG.error("an image could not be written (%s)", type(error).__name__)
            return _OUT_OF_RESOURCES
        return _SUCCESS

    def _count(self, event: Any) -> None:
        """Abort an association that sends more than the size limit of an image."""
        size = self._coming[id(event.assoc)] = self._coming.get(id(event.assoc), 0) + len(event.data)
        if size > self._settings.most_mib * 2**20:
            _LOG.warning("an association sent more than %d MiB at once and was ended", self._settings.most_mib)
            event.assoc.abort()

    def _forget(self, event: Any) -> None:
        self._coming.pop(id(event.assoc), None)


def _tls(settings: ReceiverSettings) -> ssl.SSLContext | None:
    if settings.certificate is None or settings.key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.certificate, settings.key)
    if settings.client_authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(settings.client_authority)
    return context


def _read(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n") if path.exists() else []
