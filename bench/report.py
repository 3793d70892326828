# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""What a benchmark found, as JSON and as a table."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

_NO_WRAPPING = 500
_HEAD = """\
# What `make bench` measured

The ratio says how many times better than the peer, on the same machine in the same run of a benchmark.
"""


@dataclass(frozen=True)
class Figure:
    """One measured value; with a peer it is the ratio that counts."""

    name: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None
    more_is_better: bool = True
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer."""
        if self.peer_value is None:
            return None
        return self.value / self.peer_value if self.more_is_better else self.peer_value / self.value


def keep(benchmark: str, figures: Sequence[Figure], folder: Path) -> None:
    """Write what a benchmark found to files, for programs and for people, beside what others found there."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {**_kept(folder), benchmark: figures}
    found = {name: [{**asdict(each), "ratio": each.ratio} for each in those] for name, those in kept.items()}
    results = json.dumps({"machine": _machine(), "benchmarks": found}, indent=2)
    (folder / "results.json").write_text(results + "\n", encoding="utf-8")
    console = Console(width=_NO_WRAPPING)
    with console.capture() as captured:
        console.print(_table([each for those in kept.values() for each in those], box.MARKDOWN))
    (folder / "RESULTS.md").write_text(
        f"{_HEAD}\n{_machine()}.\n\n{captured.get().strip()}\n", encoding="utf-8"
    )


def _kept(folder: Path) -> dict[str, Sequence[Figure]]:
    """What was found on this machine before."""
    file = folder / "results.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if results.get("machine") != _machine():
        return {}
    return {
        name: [Figure(**{key: value for key, value in each.items() if key != "ratio"}) for each in those]
        for name, those in results["benchmarks"].items()
    }


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print the run as a table."""
    console.print(_table(figures, box.HEAVY_HEAD))


def _machine() -> str:
    processor = platform.processor() or platform.machine()
    return f"{os.cpu_count()} cores, {processor}, Python {platform.python_version()}"


def _table(figures: Sequence[Figure], borders: box.Box) -> Table:
    table = Table("what", "ours", "unit", "peer", "peer's", "ratio", "note", box=borders)
    for figure in figures:
        peer_value = "" if figure.peer_value is None else _number(figure.peer_value)
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2g}x"
        table.add_row(
            figure.name, _number(figure.value), figure.unit, figure.peer, peer_value, ratio, figure.note
        )
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
