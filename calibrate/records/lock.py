"""A file that one process at a time may write."""

from __future__ import annotations


def lock(handle: int) -> bool:
    """Hold an open file until it is closed or the process ends; False where another holds it.

    Raises ValueError on a platform without the locks of POSIX.
    """
    try:
        import fcntl
    except ImportError:
        raise ValueError(
            "measurements and resumable simulations need the file locks of Linux or macOS (fcntl), "
            "which this platform does not have: on Windows use its subsystem for Linux"
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
