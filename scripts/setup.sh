#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
#
# Makes this machine ready to build and test: distribution packages, Python environment.
# Changes nothing when nothing is missing. Run by `make setup`, and by every target that needs it.
# Usage: scripts/setup.sh [PACKAGE...]    packages that only one target needs
set -euo pipefail
cd "$(dirname "$0")/.."

# The names are the same on Debian 12 and Ubuntu 24.04.
packages=(
    gcc libc6-dev make cmake ninja-build pkg-config
    libmosquitto-dev libmbedtls-dev libcjson-dev libssl-dev libcmocka-dev
    mosquitto mosquitto-dev mosquitto-clients openssl python3 python3-venv
    "$@"
)

log=build/setup.log # what apt and pip said

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$@"; exit 4; }
fail_with_log() { tail -n 20 "$log" >&2; fail "$1; the lines above are the end of $log"; }

missing_packages() {
    local installed
    installed=" $(dpkg-query -W -f '${Package}=${db:Status-Status} ' "${packages[@]}" 2>/dev/null || true) "
    local package
    for package in "${packages[@]}"; do
        [[ $installed == *" $package=installed "* ]] || echo "$package"
    done
}

# In a container there is no service manager to start Debian's own broker properly, and nobody wants it: tell
# the package so. Where a service manager runs, the package does what it always does; we use neither it nor its port.
without_services() {
    local policy=/usr/sbin/policy-rc.d
    if [[ -d /run/systemd/system || -e $policy ]]; then
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    local status=0
    "$@" || status=$?
    "${as_root[@]}" rm -f "$policy"
    return "$status"
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    ((${#missing[@]} > 0)) || return 0

    local line="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    if ((EUID == 0)); then
        as_root=(env)
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    else
        fail "packages are missing and this user may not install them. Run this once:
    sudo sh -c '$line'"
    fi
    say "installing ${missing[*]}"
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update </dev/null >"$log" 2>&1 || fail_with_log "apt-get update failed"
    without_services "${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null >>"$log" 2>&1 ||
        fail_with_log "apt-get install failed"
}

# The environment is made anew when the interpreter or the requirements changed. The stamp is written last.
make_environment() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "python3 is $(python3 -V 2>&1 | cut -d' ' -f2), 3.11 or newer is needed (Debian 12 and Ubuntu 24.04 have it)"
    local stamp=.venv/.stamp wanted
    wanted="$(python3 -V) $PWD $(sha256sum <pyproject.toml)"
    if [[ -x .venv/bin/fleetpki && -e $stamp && $(<"$stamp") == "$wanted" ]]; then
        return
    fi
    say "making the Python environment in .venv"
    if [[ ! -e $stamp || $(<"$stamp") != "$(python3 -V) $PWD "* ]]; then
        python3 -m venv --clear .venv </dev/null >"$log" 2>&1 || fail_with_log "no environment could be made"
    fi
    .venv/bin/python -m pip install --disable-pip-version-check --editable '.[dev]' </dev/null >"$log" 2>&1 ||
        fail_with_log "pip failed"
    echo "$wanted" >"$stamp"
}

mkdir -p build
exec 9>build/.setup.lock # one set-up at a time; the lock goes with the process
flock 9

if command -v dpkg-query >/dev/null; then
    install_packages
else
    say "no Debian packages here: install what ${packages[*]} stand for yourself"
fi
make_environment
