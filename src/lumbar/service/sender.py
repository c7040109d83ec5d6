"""Sends results to a DICOM node by C-STORE, for sites where the service receives studies itself, without an Orthanc."""

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE

from lumbar.service.config import ResultsSettings
from lumbar.service.delivery import Away, Refused

_LOG = logging.getLogger("lumbar.service")
_TIMEOUT_SECONDS = 60
_DUPLICATE = 0x0111
_NO_ROOM = range(0xA700, 0xA800)


class Sender:
    """The node that takes the results."""

    def __init__(self, settings: ResultsSettings) -> None:
        self._settings = settings

    def store(self, files: Sequence[Path]) -> None:
        """Send objects; what is there already stays as it is.

        Raises:
            Away: the node does not answer, refuses the association, breaks it off, or has no room.
            Refused: it does not take all of them.
        """
        settings, refused = self._settings, 0
        entity = AE(ae_title=settings.own_title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = _TIMEOUT_SECONDS
        for kind in sorted({_kind_of(path) for path in files}):
            entity.add_requested_context(kind, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        link = entity.associate(settings.host, settings.port, ae_title=settings.title, tls_args=_tls(settings))
        if not link.is_established:
            what = "refuses the association" if link.is_rejected else "does not answer"
            raise Away(f"the node {settings.title} {what}; the results wait for it")
        accepted = {context.abstract_syntax for context in link.accepted_contexts}
        try:
            for number, path in enumerate(files):
                if _kind_of(path) not in accepted:
                    _LOG.warning("%s takes no objects of the kind %s", settings.title, _kind_of(path).name)
                    refused += 1
                    continue
                status = link.send_c_store(path, msg_id=number % 0xFFFF + 1).get("Status")
                if status is None or status in _NO_ROOM:
                    raise Away(f"the node {settings.title} {'broke off' if status is None else 'has no room'}; the results wait for it")
                refused += not (status in (0x0000, _DUPLICATE) or 0xB000 <= status < 0xC000)
        finally:
            if link.is_established:
                link.release()
        if refused:
            raise Refused(f"the node {settings.title} refused {refused} of {len(files)} objects")


def _kind_of(path: Path) -> UID:
    return UID(pydicom.dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True).SOPClassUID)


def _tls(settings: ResultsSettings) -> tuple[ssl.SSLContext, str] | None:
    if settings.authority is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=settings.authority)
    if settings.certificate is not None:
        context.load_cert_chain(settings.certificate, settings.key)
    return context, settings.host
