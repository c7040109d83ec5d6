"""The log of the service and its workers."""

import logging
import sys
import threading

_LOG = logging.getLogger("lumbar.service")
_OWN = ("lumbar", "uvicorn")


def set_up_log() -> None:
    """Lines of time, level and message on standard error; they hold no identity.

    Other libraries write identifiers and header values into their messages (highdicom the instance UID of every image), so only their errors are
    mentioned, without text.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(_without_foreign_text)
    logging.basicConfig(handlers=[handler], level=logging.ERROR)
    for own in _OWN:
        logging.getLogger(own).setLevel(logging.INFO)
    threading.excepthook = _thread_ended


def _thread_ended(what: threading.ExceptHookArgs) -> None:
    """A traceback may hold values of headers, so only the type of the error is kept."""
    _LOG.error("a thread ended (%s)", what.exc_type.__name__)


def _without_foreign_text(record: logging.LogRecord) -> bool:
    if record.name.split(".", maxsplit=1)[0] not in _OWN:
        record.msg, record.args, record.exc_info, record.exc_text, record.stack_info = f"an error in {record.name}", (), None, None, None
    return True
