"""Commands that a command starts: they end when it is gone, however it went."""

import os
import signal
import threading
import time

PARENT = "VFER_PARENT"
"""The environment variable that names the process which a command is to end with."""


def child_environment() -> dict[str, str]:
    """Return the environment of a command that is to end with this process."""
    return os.environ | {PARENT: str(os.getpid())}


def end_with_parent() -> None:
    """Have this process asked to end, as by SIGTERM, when the one that started it is gone.

    Of a process that was not started by `child_environment` nothing is asked. Whoever kills a sweep
    and starts it again would else have its last point trained by two processes at once.
    """
    parent = os.environ.pop(PARENT, None)
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
