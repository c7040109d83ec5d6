"""Whether an error means that the disk is full, wherever it comes from."""

import errno


def disk_is_full(error: BaseException | None) -> bool:
    """Whether the error or one of its causes is a full disk."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "disk is full" in str(error):  # SQLite's message
            return True
        error = error.__cause__
    return False
