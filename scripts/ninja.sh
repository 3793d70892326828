#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
#
# Configures a CMake project when it is not yet configured, then builds it.
# Usage: scripts/ninja.sh SOURCE_DIR BUILD_DIR [CMAKE_OPTION...]
set -euo pipefail
source_dir=$1 build_dir=$2
shift 2
if [[ ! -e $build_dir/build.ninja ]]; then
    cmake -S "$source_dir" -B "$build_dir" -G Ninja "$@" >/dev/null
fi
ninja --quiet -C "$build_dir" | { grep -v '^ninja: no work to do' || true; } >&2
