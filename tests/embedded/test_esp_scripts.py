# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""scripts/esp_build.sh and esp_test.sh go on when a build fails, and tell what came of it.

ESP-IDF is a stand-in here.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Builds the firmware for two chips, where one build fails; of the other apps crash_loop.
IDF_BUILD_APPS = """#!/usr/bin/env python3
import json, pathlib, sys

options = dict(zip(sys.argv[2::2], sys.argv[3::2]))
wanted = options["--target"] if "--target" in options else "all"
here = pathlib.Path.cwd()
app, top = ("crash_loop", here.parent) if here.name == "test_apps" else ("cert_agent", here)
builds = [("esp32c3", "qemu", True), ("esp32c6", "prod", False)]
failed = 0
with open(sys.argv[sys.argv.index("--collect-app-info") + 1], "w") as info:
    for target, configuration, good in builds[:1] if app == "crash_loop" else builds:
        if wanted not in ("all", target):
            continue
        build = top / f"build/esp/{app}/{target}_{configuration}"
        build.mkdir(parents=True)
        if good:
            (build / "project_description.json").write_text('{"app_bin": "app.bin", "app_elf": "app.elf"}')
            (build / "app.bin").write_bytes(bytes(1234))
        failed += not good
        info.write(json.dumps({
            "target": target, "config_name": configuration, "work_dir": ".", "build_dir": str(build),
            "build_log_filename": "build.log",
            "build_status": "build success" if good else "build failed",
            "build_comment": None if good else "build succeeded with warnings",
        }) + "\\n")
sys.exit(1 if failed else 0)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone with what the scripts need, and an ESP-IDF."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for app in ("crash_loop", "ds_key"):
        (tmp_path / "test_apps" / app).mkdir(parents=True)
        (tmp_path / "test_apps" / app / "CMakeLists.txt").touch()
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs/bootstrap.crt").touch()
    (tmp_path / "idf/tools").mkdir(parents=True)
    (tmp_path / "idf/tools/idf.py").touch()
    program = tmp_path / "bin/idf-build-apps"
    program.parent.mkdir()
    program.write_text(IDF_BUILD_APPS)
    program.chmod(0o755)
    return tmp_path


def run(checkout: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("ESP_", "IDF_"))}
    return subprocess.run(
        command,
        cwd=checkout,
        env=clean | {"PATH": path, "IDF_PATH": str(checkout / "idf")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_build_that_fails_is_named_and_the_others_go_on(checkout: Path) -> None:
    done = run(checkout, "scripts/esp_build.sh")
    assert done.returncode == 1
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines == [
        "cert_agent esp32c3 qemu 1,234 bytes",
        "cert_agent esp32c6 prod FAILED build succeeded with warnings; "
        "see build/esp/cert_agent/esp32c6_prod/build.log",
        "crash_loop esp32c3 qemu 1,234 bytes",
        "esp-build: built 2 of 3, 1 FAILED",
    ]


def test_what_all_builds_is_a_success(checkout: Path) -> None:
    done = run(checkout, "scripts/esp_build.sh", "--target", "esp32c3")
    assert done.returncode == 0
    assert done.stdout.endswith("esp-build: built 2 of 2\n")


def test_only_the_apps_asked_for_are_built(checkout: Path) -> None:
    done = run(checkout, "scripts/esp_build.sh", ESP_APPS="crash_loop")
    assert done.returncode == 0
    assert done.stdout.endswith("esp-build: built 1 of 1\n")
    assert not (checkout / "build/esp/cert_agent").exists()


def test_an_app_that_is_not_there_is_refused(checkout: Path) -> None:
    done = run(checkout, "scripts/esp_build.sh", ESP_APPS="crash_lop")
    assert done.returncode == 2
    assert "there is no app crash_lop" in done.stderr


def test_options_that_leave_nothing_to_build_are_no_success(checkout: Path) -> None:
    done = run(checkout, "scripts/esp_build.sh", "--target", "esp32h2")
    assert done.returncode == 3
    assert "nothing was built" in done.stderr


def test_without_an_esp_idf_it_says_how_to_get_one(checkout: Path) -> None:
    done = run(checkout, "scripts/esp_build.sh", IDF_PATH="")
    assert done.returncode == 2
    assert "git clone --recursive" in done.stderr


def results(checkout: Path, pytest_on_firmware: str) -> list[str]:
    """Run esp_test.sh, which has to fail, with a stand-in for pytest; the table it ends with."""
    python = checkout / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f"""#!/bin/bash
case "$*" in
    *make_test_pki.py*) mkdir -p build/esp/pki; touch build/esp/pki/bootstrap.crt ;;
    *"-m pytest"*test_apps/crash_loop*) exit 5 ;;
    *"-m pytest"*)
        while [[ $1 != --junitxml ]]; do shift; done
        {pytest_on_firmware} ;;
    *) exec {sys.executable} "$@" ;;
esac
""")
    python.chmod(0o755)
    done = run(checkout, "scripts/esp_test.sh", "-k", "rotates")
    assert done.returncode == 1
    table = done.stdout.rpartition("esp-test: cert_agent on esp32c3, qemu\n")[2]
    return [" ".join(line.split()) for line in table.splitlines()]


def test_what_pytest_found_is_told_and_an_app_without_such_a_test_is_no_failure(checkout: Path) -> None:
    found = '<testsuite tests="7" failures="1" errors="0" skipped="2" time="3.6"/>'
    assert results(checkout, f"echo '{found}' >\"$2\"; exit 1") == [
        "esp-test: crash_loop on esp32c3, qemu",
        "cert_agent esp32c3 qemu FAILED 4 passed 2 skipped 1 failed 4 s",
        "esp-test: tested 0 of 1, 1 FAILED",
    ]


def test_an_app_whose_tests_were_killed_is_not_forgotten(checkout: Path) -> None:
    assert results(checkout, "kill -9 $$")[1:] == [
        "cert_agent esp32c3 qemu FAILED ended without a result",
        "esp-test: tested 0 of 1, 1 FAILED",
    ]


def test_an_app_that_was_not_built_is_not_forgotten(checkout: Path) -> None:
    program = checkout / "bin/idf-build-apps"
    program.write_text(program.read_text().replace('"esp32c3", "qemu", True', '"esp32c3", "qemu", False'))
    assert results(checkout, "exit 0")[-3:] == [
        "cert_agent esp32c3 qemu FAILED not built",
        "crash_loop esp32c3 qemu FAILED not built",
        "esp-test: tested 0 of 2, 2 FAILED",
    ]
