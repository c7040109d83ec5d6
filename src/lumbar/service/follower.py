"""Follows an Orthanc: its changes as they come, and all of its studies from time to time, for events can be lost."""

import logging
import re
import threading
import time

import httpx

from lumbar.service.config import ArchiveSettings
from lumbar.service.intake import Intake
from lumbar.service.orthanc import Orthanc
from lumbar.service.store.kept import KeptValues

_LOG = logging.getLogger("lumbar.service")
_SINCE = "archive change"


class Follower:
    """Queues every stable MR study of an archive, once for a set of its images."""

    def __init__(self, orthanc: Orthanc, intake: Intake, kept: KeptValues, settings: ArchiveSettings) -> None:
        self._orthanc, self._intake, self._kept, self._settings = orthanc, intake, kept, settings
        self._looked_at: dict[str, str] = {}  # study → time of the last arrival, at the last check
        self._reconciled = float("-inf")
        self._away = False

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop`; an unreachable archive is tried again."""
        while not stop.is_set():
            self.step()
            stop.wait(self._settings.pause_seconds)

    def step(self) -> None:
        """Check the archive once."""
        try:
            self._follow()
            if time.monotonic() - self._reconciled >= self._settings.reconcile_seconds:
                self.reconcile()
                self._reconciled = time.monotonic()
        except httpx.HTTPError as error:
            if not self._away:
                _LOG.warning("the archive does not answer (%s); the service waits for it", type(error).__name__)
            self._away, self._reconciled = True, float("-inf")
        except Exception as error:  # the loop must survive any response
            _LOG.error("the archive's answer could not be used (%s)", type(error).__name__)
        else:
            if self._away:
                _LOG.info("the archive answers again")
            self._away = False

    def reconcile(self) -> None:
        """Check every study to which something was added since the last check."""
        for name, updated in self._orthanc.updates():
            if self._looked_at.get(name) != updated and self._take(name):
                self._looked_at[name] = updated

    def _follow(self) -> None:
        since = int(self._kept.get(_SINCE, "0"))
        if since > self._orthanc.last_change():  # the archive's index was made anew
            since = 0
        done = False
        while not done:
            page = self._orthanc.changes(since)
            for name in page.stable_studies:
                self._take(name)
            if page.last != since:  # kept after its studies are queued: a kill in between repeats, and repeating changes nothing
                self._kept.keep(_SINCE, str(page.last))
            since, done = page.last, page.done

    def _take(self, name: str) -> bool:
        """Queue a study; False where it has to be checked again, as images still arrive."""
        arrived = self._orthanc.study(name)
        if arrived is None or not arrived.images:
            return True
        if not arrived.stable:
            return False
        settings = self._settings
        wanted = arrived.updated >= settings.from_date and (not settings.descriptions or re.search(settings.descriptions, arrived.facts.description, re.I))
        if wanted:
            taken = self._intake.from_archive(arrived)
            if not taken.known:
                _LOG.info("study %s arrived in the archive: job %s", taken.study, taken.job)
        return True
