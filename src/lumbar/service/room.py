"""Recognises errors that a full disk caused."""

import errno


def disk_is_full(error: BaseException | None) -> bool:
    """Whether a full disk caused the error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "disk is full" in str(error):  # SQLite's message
            return True
        error = error.__cause__
    return False
