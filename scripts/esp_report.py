#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Say at the end of scripts/esp_build.sh and scripts/esp_test.sh, in one table, what came of it.

  esp_report.py built FOLDER    firmware.jsonl, test_apps.jsonl: what idf-build-apps says of each build
  esp_report.py tested FOLDER   APP.TARGET.CONFIGURATION.xml: what pytest says of each run, or why it does not
  esp_report.py is-built FOLDER APP TARGET CONFIGURATION    says nothing

Exit code 0: all went well; 1: something failed; 3: there is nothing to report.
"""

import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

#: Where idf-build-apps ran, and with that what its paths are relative to.
RAN_IN = {"firmware": Path(), "test_apps": Path("test_apps")}


class Line(NamedTuple):
    """What came of one build or of one run of tests."""

    app: str
    target: str
    configuration: str
    good: bool
    text: str


def builds(folder: Path) -> Iterator[Line]:
    """Read what idf-build-apps wrote about each app."""
    for name, ran_in in RAN_IN.items():
        path = folder / f"{name}.jsonl"
        records = path.read_text().splitlines() if path.exists() else []
        for record in map(json.loads, records):
            if record["build_status"] not in ("build success", "build failed"):
                continue  # --dry-run, or nothing changed
            build = (ran_in / record["work_dir"] / record["build_dir"]).resolve()
            good = record["build_status"] == "build success"
            if good:
                text = image_size(build)
            else:
                comment = (record["build_comment"] or record["build_status"]).partition("\n")[0]
                text = f"{shortened(comment)}; see {relative(build / record['build_log_filename'])}"
            yield Line(build.parent.name, record["target"], record["config_name"] or "default", good, text)


def image_size(build: Path) -> str:
    """How large what is flashed, or run, became."""
    description = json.loads((build / "project_description.json").read_text())
    image = build / (description.get("app_bin") or description["app_elf"])
    if not image.exists():
        image = build / description["app_elf"]
    return f"{image.stat().st_size:>9,} bytes"


def shortened(comment: str) -> str:
    """Spare the reader the whole command line of a build that failed."""
    return "idf.py failed" if comment.startswith("Command ") else comment


def relative(path: Path) -> Path:
    """Name a file as seen from the top of the repository."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def tests(folder: Path) -> Iterator[Line]:
    """Read what pytest wrote about each run."""
    for path in sorted(folder.glob("*.xml"), key=lambda path: path.stat().st_mtime):
        app, target, configuration = path.stem.split(".")
        found = path.read_text()
        if not found.startswith("<"):
            yield Line(app, target, configuration, False, found.strip())
            continue
        suites = list(ElementTree.fromstring(found).iter("testsuite"))  # noqa: S314  it is our own
        count = {
            key: sum(int(suite.get(key) or 0) for suite in suites)
            for key in ("tests", "failures", "errors", "skipped")
        }
        failed = count["failures"] + count["errors"]
        passed = count["tests"] - failed - count["skipped"]
        time = sum(float(suite.get("time") or 0) for suite in suites)
        text = f"{passed:>3} passed {count['skipped']:>3} skipped {failed:>3} failed {time:>6.0f} s"
        yield Line(app, target, configuration, failed == 0, text)


def main() -> int:
    """Run the command line."""
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "is-built":
        wanted = tuple(sys.argv[3:6])
        goods = [line.good for line in builds(folder) if line[:3] == wanted]
        return 3 if not goods else 0 if goods[0] else 1
    lines = list(builds(folder) if what == "built" else tests(folder))
    name = "esp-build" if what == "built" else "esp-test"
    if not lines:
        print(f"{name}: nothing was {what}", file=sys.stderr)
        return 3
    width = max(len(line.app) for line in lines)
    for line in lines:
        verdict = "" if line.good else "FAILED  "
        print(f"  {line.app:<{width}}  {line.target:<8} {line.configuration:<18}  {verdict}{line.text}")
    failed = sum(not line.good for line in lines)
    print(f"{name}: {what} {len(lines) - failed} of {len(lines)}" + (f", {failed} FAILED" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
