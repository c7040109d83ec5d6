"""Whether an error means that the disk is full, wherever it comes from."""

import errno


def disk_is_full(error: BaseException | None) -> bool:
    """Whether the error or one of its causes says that there is no room."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "disk is full" in str(error):  # as SQLite says it
            return True
        error = error.__cause__
    return False
