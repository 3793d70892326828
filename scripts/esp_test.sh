#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds the firmware and the test apps with the ESP-IDF in IDF_PATH and runs their tests: on Linux, and for the ESP32-C3 in
# Espressif's QEMU. Without QEMU those tests are skipped, with the reason.
# Usage: scripts/esp_test.sh [OPTION OF pytest...]    e.g. -k rotates
#   ESP_APPS       only these apps: cert_agent and the folders of test_apps/ (default: all)
#   ESP_SDKCONFIG  see scripts/esp_build.sh
set -euo pipefail
cd "$(dirname "$0")/.."

read -ra apps <<<"${ESP_APPS:-cert_agent $(ls test_apps | grep -vx components | tr '\n' ' ')}"
configurations=(qemu qemu_ds key_hmac key_ds) # what runs in QEMU: the sdkconfig.ci.* of the firmware and of the apps
rules=()
for configuration in "${configurations[@]}"; do
    rules+=("sdkconfig.ci.$configuration=$configuration")
done
status=0

# A new PKI each time, as old as the code: its registry is that of this version.
export ESP_PKI=build/esp/pki
make_pki() {
    .venv/bin/python scripts/make_test_pki.py --directory "$ESP_PKI" --host 10.0.2.2 --force
}

run() { # APP TARGET CONFIGURATION SERVICES [OPTION...]
    local app=$1 target=$2 configuration=$3 services=$4
    local build=build/esp/$app/${target}_$configuration path=test_apps/$app tests=test_apps/$app
    shift 4
    if [[ $app == cert_agent ]]; then
        path=. tests=pytest_cert_mgmt.py
    fi
    if [[ $configuration == key_* ]]; then
        tests=pytest_chip_keys.py
    fi
    [[ -d $build ]] || return 0 # .build-test-rules.yml: not for this target
    echo "esp-test: $app on $target, $configuration"
    .venv/bin/python -m pytest -n auto "$tests" --embedded-services "$services" --target "$target" \
        --app-path "$path" --build-dir "$PWD/$build" "$@" || status=1
}

[[ -z ${IDF_PATH:-} ]] || make_pki
scripts/esp_build.sh --target linux --config '=default'
scripts/esp_build.sh --target esp32c3 --config "${rules[@]}"
for app in "${apps[@]}"; do
    run "$app" linux default idf "$@"
    for configuration in "${configurations[@]}"; do
        run "$app" esp32c3 "$configuration" idf,qemu "$@"
    done
done
exit "$status"
