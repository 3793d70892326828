# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m bench``: measure, print a table, keep the figures."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bench import issuing, lists, ocsp, registry, revocation, workers
from bench.report import Figure, keep, show

BENCHMARKS: dict[str, Callable[[Path, int], list[Figure]]] = {
    "issuing": issuing.measure,
    "workers": workers.measure,
    "ocsp": ocsp.measure,
    "revocation": revocation.measure,
    "lists": lists.measure,
    "registry": registry.measure,
}


def main() -> None:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHMARKS)}; all when none"
    )
    parser.add_argument("--seconds", type=int, default=10, help="how long each load lasts")
    parser.add_argument(
        "--keep",
        type=Path,
        help="folder for results.json and RESULTS.md, where other benchmarks' figures stay",
    )
    parser.add_argument("--build", type=Path, default=Path("build/bench"), help="where peers are built")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    arguments.build.mkdir(parents=True, exist_ok=True)
    console = Console()
    for name in arguments.names or BENCHMARKS:
        with tempfile.TemporaryDirectory(dir=arguments.build.absolute()) as scratch:
            found = BENCHMARKS[name](Path(scratch), arguments.seconds)
        show(found, console)
        if arguments.keep is not None:
            keep(name, found, arguments.keep)


if __name__ == "__main__":
    main()
