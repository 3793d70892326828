# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""How what a device prints reaches the test: without keeping two processors busy while it prints nothing."""

import os
import time
from multiprocessing.context import SpawnProcess
from pathlib import Path

from pytest_embedded.log import DuplicateStdoutPopen, MessageQueue

#: What is read is a file, and reading one never waits.
POLL_S = 0.02


class WaitingRedirect(SpawnProcess):
    """The process that hands on the output of a device.

    Pytest-embedded's own never waits, and sends each empty reading on to a third process.
    """

    def __init__(self, msg_queue: MessageQueue, logfile: str) -> None:
        """Prepare to read ``logfile``, which is being written to."""
        super().__init__(target=hand_on, args=(msg_queue, logfile), daemon=True)


def hand_on(msg_queue: MessageQueue, logfile: str) -> None:
    """Hand on the output for as long as there is somebody to read it."""
    parent = os.getppid()
    with Path(logfile).open("rb") as output:
        while os.getppid() == parent:
            text = output.read()
            if text:
                msg_queue.put(text)
            else:
                time.sleep(POLL_S)


def wait_for_output() -> None:
    """Do so for all devices that are processes here."""
    DuplicateStdoutPopen.REDIRECT_CLS = WaitingRedirect
