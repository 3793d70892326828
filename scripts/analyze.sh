#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
#
# Static analysis of the C that ships: device core, Linux agent, broker plugin. Run by `make analyze`.
# gcc -fanalyzer, clang-tidy (.clang-tidy says what it looks for) and cppcheck, each of which has to find nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'analyze: %s\n' "$*" >&2; exit 1; }

# The builds' own warnings are errors, so the analyser's are, too.
gcc_analyzer() {
    local part
    for part in host broker; do
        scripts/ninja.sh "$part" "build/analyze/$part" -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS=-fanalyzer
    done
}

sources() { grep -oE '"file": "[^"]+' "build/$1/compile_commands.json" | cut -d'"' -f4 | grep -v /tests/; }

# One file at a time: over several, clang-tidy 14 takes every va_list but the first for uninitialised.
clang_tidy() {
    local part failed=0
    for part in host broker; do
        sources "$part" | xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p "build/$part" \
            --extra-arg=-Wno-unknown-warning-option 2> >(grep -v 'warnings\? generated' >&2) || failed=1
    done
    return "$failed"
}

cppcheck_all() {
    local part
    for part in host broker; do
        cppcheck -j "$(nproc)" --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
            --error-exitcode=1 --project="build/$part/compile_commands.json"
    done
}

gcc_analyzer || fail "gcc -fanalyzer has found something: above"
clang_tidy || fail "clang-tidy has found something: above"
cppcheck_all || fail "cppcheck has found something: above"
echo "analyze: gcc -fanalyzer, clang-tidy and cppcheck find nothing"
