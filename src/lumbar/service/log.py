"""The log of the service and its workers."""

import logging
import sys


def set_up_log() -> None:
    """Lines of time, level and message on standard error; they hold no identity."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for noisy in ("httpx", "httpcore", "pydicom", "pynetdicom", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
