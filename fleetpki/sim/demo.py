# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""``make demo``: watch a device's whole life, every step checked from outside."""

import asyncio
import json
import secrets
import shutil
import signal
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fleetpki.errors import FleetError
from fleetpki.sim.commands import SimError
from fleetpki.sim.life import STEPS, Life
from fleetpki.sim.transcript import Transcript
from fleetpki.sim.world import World

TRANSCRIPTS = Path("build/demo")
STEP_TIMEOUT_S = 300.0


def main(
    devices: Annotated[int, typer.Option(min=1, max=99, help="How many devices live at once.")] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per step, and one at the end.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of the random moments; printed by each run.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the directory also when all went well.")] = False,
) -> None:
    """Let devices live their life against a cloud of their own, and check each step from outside."""
    report = Report(as_json, seed if seed is not None else secrets.randbelow(1_000_000))
    directory = Path(tempfile.mkdtemp(prefix="fleetpki-demo-"))
    transcript = Transcript(TRANSCRIPTS / f"{datetime.now():%Y%m%d-%H%M%S}.txt")  # noqa: DTZ005 - for people
    report.begin(devices)
    try:
        asyncio.run(live(World(directory, transcript, report.seed), devices, report))
    except (KeyboardInterrupt, asyncio.CancelledError):
        report.failed("interrupted")
    except (SimError, FleetError, OSError, TimeoutError) as error:
        report.failed(str(error) or type(error).__name__)
    finally:
        transcript.close()
    if report.passed and not keep:
        shutil.rmtree(directory)
    report.end(transcript.path, None if report.passed and not keep else directory)
    if not report.passed:
        raise typer.Exit(1)


async def live(world: World, devices: int, report: "Report") -> None:
    """Go through the steps."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - this is one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with world:
        life = Life(world, devices)
        for number, step in enumerate(STEPS, 1):
            world.transcript.add("step", f"{number}: {step.title}")
            start, facts = time.monotonic(), world.facts
            report.step(number, step.title)
            async with asyncio.timeout(STEP_TIMEOUT_S):
                await step.run(life)
            report.step_passed(time.monotonic() - start, world.facts - facts)


class Report:
    """What is printed."""

    def __init__(self, as_json: bool, seed: int) -> None:
        """Print for people, or JSON."""
        self.seed = seed
        self._as_json = as_json
        self._number = 0
        self._title = ""
        self._passed = 0
        self._error = ""
        self._start = time.monotonic()

    @property
    def passed(self) -> bool:
        """Whether every step has passed and nothing went wrong afterwards."""
        return self._passed == len(STEPS) and not self._error

    def begin(self, devices: int) -> None:
        """Say what is going to happen."""
        self._print(f"demo: {devices} device{'s' if devices > 1 else ''}, seed {self.seed}", None)

    def step(self, number: int, title: str) -> None:
        """Begin a step."""
        self._number, self._title = number, title

    def step_passed(self, seconds: float, facts: int) -> None:
        """Tell that a step has passed."""
        self._passed += 1
        self._print(
            f"{self._number:>2}/{len(STEPS)} ok  {seconds:6.1f} s  {self._title} ({facts} checked)",
            {
                "step": self._number,
                "title": self._title,
                "passed": True,
                "seconds": round(seconds, 3),
                "facts": facts,
            },
        )

    def failed(self, why: str) -> None:
        """Tell that a step has failed."""
        self._error = why
        self._print(
            f"{self._number:>2}/{len(STEPS)} FAILED     {self._title}\n  {why}",
            {"step": self._number, "title": self._title, "passed": False, "error": why},
        )

    def end(self, transcript: Path | None, directory: Path | None) -> None:
        """Tell how it ended and where to look."""
        seconds = time.monotonic() - self._start
        lines = [f"transcript: {transcript}"] + ([f"directory kept: {directory}"] if directory else [])
        lines.append(f"demo: {self._passed}/{len(STEPS)} steps passed in {seconds:.0f} s")
        self._print(
            "\n".join(lines),
            {
                "passed": self._passed, "steps": len(STEPS), "ok": self.passed, "seconds": round(seconds, 3),
                "seed": self.seed, "transcript": str(transcript),
                "directory": str(directory) if directory else None,
            },
        )  # fmt: skip

    def _print(self, text: str, data: dict[str, Any] | None) -> None:
        if not self._as_json:
            print(text, flush=True)
        elif data is not None:
            print(json.dumps(data), flush=True)


if __name__ == "__main__":
    typer.run(main)
