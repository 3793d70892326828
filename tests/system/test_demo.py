# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The demonstration: its result for machines, its exit code, and what it leaves behind."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

DEMO = [sys.executable, "-m", "fleetpki.sim.demo", "--json"]


@pytest.mark.timeout(280)
def test_ten_steps_pass_and_nothing_but_a_transcript_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    demo = subprocess.run(DEMO, capture_output=True, text=True, check=False)
    *steps, end = [json.loads(line) for line in demo.stdout.splitlines()]
    assert [(step["step"], step.get("error"), step["passed"]) for step in steps] == [
        (number, None, True) for number in range(1, 11)
    ]
    assert (demo.returncode, end["ok"], end["passed"]) == (0, True, 10)
    transcript = Path(end["transcript"]).read_text()
    assert "step         10" in transcript
    assert not [
        line for line in transcript.splitlines() if "PRIVATE KEY" in line and "(left out)" not in line
    ]
    assert not list(tmp_path.iterdir())


def test_interrupted_it_ends_with_an_error_and_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with not_ignoring(signal.SIGINT), subprocess.Popen(DEMO, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        demo.stdout.readline()  # the cloud is up now
        demo.send_signal(signal.SIGINT)
        last = json.loads(demo.stdout.read().splitlines()[-1])
    assert demo.returncode == 1
    assert last["ok"] is False
    [kept] = tmp_path.iterdir()
    assert not [process for process in Path("/proc").glob("[0-9]*") if str(kept) in command_line(process)]


@contextlib.contextmanager
def not_ignoring(number: signal.Signals) -> Iterator[None]:
    """What is started here hears a signal that a job in the background ignores."""
    before = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:  # it has ended
        return ""
