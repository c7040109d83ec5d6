"""The process of a worker. It reads its settings from standard input and ends when that closes, that is, when the service ends."""

import json
import logging
import os
import sys
import threading
from collections.abc import Callable

from lumbar.service.config import ServiceConfig, config_from
from lumbar.service.folders import DataFolder
from lumbar.service.log import set_up_log
from lumbar.service.orthanc import open_archive
from lumbar.service.sender import Sender
from lumbar.service.store.database import Database
from lumbar.service.store.jobs import JobStore
from lumbar.service.store.studies import StudyStore
from lumbar.service.task import Engine
from lumbar.service.worker import Outside, Worker

_LOG = logging.getLogger("lumbar.service")


def run_worker(make_engine: Callable[[ServiceConfig], Engine]) -> None:
    """Work until standard input closes."""
    os.umask(0o077)
    set_up_log()
    told = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with_the_service, daemon=True).start()
    config = config_from(told["config"])
    folder = DataFolder(config.data)
    database = Database(folder.database)
    stores = JobStore(database, config.queue), StudyStore(database)
    outside = Outside(open_archive(config.archive) if config.archive else None, Sender(config.results) if config.results else None)
    worker = Worker(told["name"], config, folder, stores, make_engine(config), outside)
    _LOG.info("%s is ready", told["name"])
    worker.run(threading.Event())


def end_with_the_service() -> None:
    """Wait until standard input closes, and end the process then."""
    sys.stdin.read()
    os._exit(0)
