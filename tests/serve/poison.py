"""A process that decodes pictures and is killed by some files, as a decoder's fault would do it."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection

from sfumato.serve.pictures import pictureprocess

MARK = b"poison"
"""A file that has it kills the process that gets it."""


def main(pipe: Connection, task: pictureprocess.Task) -> None:
    """Do as `pictureprocess.main` does, and die of poison."""
    answer = pictureprocess.answer

    def dying(pictures: object, question: bytes) -> bytes:
        if MARK in question:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer(pictures, question)  # type: ignore[arg-type]

    pictureprocess.answer = dying
    pictureprocess.main(pipe, task)
