#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""How small the device core is: code for RV32 at -Os, worst stack of each public function, peak heap.

The code is the core alone, linked, without mbedTLS and cJSON. So is the stack: what a library function needs
below the core is not in it. The heap is measured on this machine (64 bit), so a 32-bit chip needs less.
Fails if a limit is broken.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "components" / "cert_mgmt"
PREFIX = "riscv64-unknown-elf-"
MACHINE = ["-march=rv32imc", "-mabi=ilp32"]
FLAGS = [
    *MACHINE,
    "--specs=picolibc.specs",
    "-Os",
    "-std=c11",
    "-fstack-usage",
    "-fcallgraph-info=su",
]

MAX_CODE = 24 * 1024
MAX_STATIC_RAM = 4 * 1024
MAX_STACK = 6 * 1024

INDIRECT = "__indirect_call"
"""How gcc's call graph names the callee of a call through a pointer."""

# Debian configures mbedTLS for threads of an operating system, which no chip has.
MBEDTLS_CONFIG = "#undef MBEDTLS_THREADING_C\n#undef MBEDTLS_THREADING_PTHREAD\n"


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program; its output, or the end of this one."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"core_size: {command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def compile_core(work: Path) -> list[Path]:
    """Compile every file of the core for RV32; the objects."""
    headers = work / "include"
    headers.mkdir()
    (headers / "size_config.h").write_text(MBEDTLS_CONFIG)
    for name in ("mbedtls", "psa"):
        (headers / name).symlink_to(Path("/usr/include") / name)
    (headers / "cJSON.h").symlink_to("/usr/include/cjson/cJSON.h")
    includes = [f"-I{CORE / 'include'}", f"-I{headers}", '-DMBEDTLS_USER_CONFIG_FILE="size_config.h"']
    sources = sorted((CORE / "src").glob("*.c"))
    run(f"{PREFIX}gcc", *FLAGS, *includes, "-c", *sources, cwd=work)
    return sorted(work.glob("*.o"))


def sections(objects: list[Path], work: Path) -> dict[str, int]:
    """Bytes of code, constants, initialised and zeroed data, linked: the linker shortens many calls.

    What the core calls is left out, as if it lay within reach of a jump, as it does in the flash of a chip.
    """
    image = work / "core.elf"
    ignore = ["-nostdlib", "-Wl,--unresolved-symbols=ignore-all", "-Wl,-e0", "-Wl,-Ttext=0x10000"]
    run(f"{PREFIX}gcc", *MACHINE, *ignore, *objects, "-o", image, cwd=work)
    total = {"code": 0, "constants": 0, "data": 0, "bss": 0}
    kinds = {
        ".text": "code",
        ".rodata": "constants",
        ".srodata": "constants",
        ".data": "data",
        ".sdata": "data",
    }
    kinds |= {".bss": "bss", ".sbss": "bss"}
    for line in run(f"{PREFIX}size", "-A", image).splitlines():
        fields = line.split()
        if fields and fields[0] in kinds:
            total[kinds[fields[0]]] += int(fields[1])
    return total


def call_graph(work: Path) -> tuple[dict[str, int], dict[str, set[str]]]:
    """The stack each function takes for itself, and whom it calls. File-local functions carry their file.

    A call through a pointer may reach every local function of the same file that nobody calls by name.
    """
    frames: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for graph in work.glob("*.ci"):
        text = graph.read_text()
        for title, size in re.findall(r'node: \{ title: "([^"]+)" label: "[^"]*?\\n(\d+) bytes', text):
            frames[title] = int(size)
        edges = re.findall(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', text)
        called = {target for _, target in edges}
        local = re.findall(r'node: \{ title: "([^"]+:[^"]+)" label: "[^"]*?\\n\d+ bytes', text)
        through_pointers = {name for name in local if name not in called}
        for source, target in edges:
            calls.setdefault(source, set()).update(through_pointers if target == INDIRECT else {target})
    return frames, calls


def depth(name: str, frames: dict[str, int], calls: dict[str, set[str]], above: tuple[str, ...] = ()) -> int:
    """Worst stack of a function and all below it. A recursion counts once."""
    if name in above:
        return 0
    below = (depth(callee, frames, calls, (*above, name)) for callee in calls.get(name, ()))
    return frames.get(name, 0) + max(below, default=0)


def public_functions() -> Iterator[str]:
    """Every function that the public headers declare."""
    for header in sorted((CORE / "include" / "cert_mgmt").glob("*.h")):
        yield from re.findall(r"^\w[\w *]*?\b(cert_\w+)\(", header.read_text(), re.MULTILINE)


def main() -> int:
    """Print the tables; 1 if a limit is broken."""
    heap_program = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        size = sections(compile_core(work), work)
        frames, calls = call_graph(work)
    stacks = {name: depth(name, frames, calls) for name in public_functions()}

    print("core, RV32 -Os          bytes")
    for kind, value in size.items():
        print(f"  {kind:20} {value:7,}")
    print("worst stack             bytes")
    for name, value in sorted(stacks.items(), key=lambda item: -item[1]):
        print(f"  {name:26} {value:5,}")
    print("heap of mbedTLS, cJSON   peak    kept")
    for line in re.findall(r"^(\S+) (\d+) (\d+)$", run(heap_program), re.MULTILINE):
        print(f"  {line[0]:20} {int(line[1]):7,} {int(line[2]):7,}")

    broken = [
        f"code is over {MAX_CODE} bytes" if size["code"] > MAX_CODE else "",
        f"static RAM is over {MAX_STATIC_RAM} bytes" if size["data"] + size["bss"] > MAX_STATIC_RAM else "",
        f"stack is over {MAX_STACK} bytes" if max(stacks.values()) > MAX_STACK else "",
    ]
    for limit in filter(None, broken):
        print(f"size: {limit}")
    print("size: within limits" if not any(broken) else "size: too large")
    return 1 if any(broken) else 0


if __name__ == "__main__":
    sys.exit(main())
