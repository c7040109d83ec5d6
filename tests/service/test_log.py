"""What the log of the service may hold."""

import subprocess
import sys

TALK = """
import logging, threading
from lumbar.service.log import set_up_log
set_up_log()
logging.getLogger("lumbar.service").info("a line of our own")
logging.getLogger("highdicom.base").info("copy attributes from 1.2.840.99")
logging.getLogger("pydicom").warning("PatientName Doe^Jane")
try:
    raise ValueError("Doe^Jane")
except ValueError:
    logging.getLogger("pynetdicom.acse").exception("called by %s", "Doe^Jane")

def broken():
    raise ValueError("Doe^Jane")

thread = threading.Thread(target=broken)
thread.start()
thread.join()
"""


def test_messages_of_other_libraries_stay_out_of_the_log() -> None:
    told = subprocess.run([sys.executable, "-c", TALK], capture_output=True, text=True, check=True).stderr
    assert "a line of our own" in told and "an error in pynetdicom.acse" in told and "a thread ended (ValueError)" in told
    assert "1.2.840.99" not in told and "Doe" not in told
