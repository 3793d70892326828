#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds the firmware and the test apps with the ESP-IDF in IDF_PATH and runs their tests: on Linux, and for the ESP32-C3 in
# Espressif's QEMU. Without QEMU those tests are skipped, with the reason. An app that does not build counts as failed, and the
# others go on. Ends with a table of what passed; beside it, for machines, build/esp/report/*.xml (JUnit).
# Usage: scripts/esp_test.sh [OPTION OF pytest...]    e.g. -k rotates
#   ESP_APPS       only these apps: cert_agent and the folders of test_apps/ (default: all)
#   ESP_SDKCONFIG  see scripts/esp_build.sh
set -euo pipefail
cd "$(dirname "$0")/.."

export ESP_APPS="${ESP_APPS:-cert_agent $(ls test_apps | grep -vx components | tr '\n' ' ')}"
configurations=(qemu qemu_ds key_hmac key_ds) # what runs in QEMU: the sdkconfig.ci.* of the firmware and of the apps
rules=()
for configuration in "${configurations[@]}"; do
    rules+=("sdkconfig.ci.$configuration=$configuration")
done
report=build/esp/report
status=0

# A new PKI each time, as old as the code: its registry is that of this version.
export ESP_PKI=build/esp/pki
make_pki() {
    .venv/bin/python scripts/make_test_pki.py --directory "$ESP_PKI" --host 10.0.2.2 --force
}

build() { # TARGET RULE...
    local target=$1 result=0
    shift
    scripts/esp_build.sh --target "$target" --config "$@" || result=$?
    case $result in
        0 | 3) ;; # 3: none of the apps is for this target
        1) status=1 ;;
        *) exit "$result" ;;
    esac
}

run() { # APP TARGET CONFIGURATION SERVICES [OPTION...]
    local app=$1 target=$2 configuration=$3 services=$4
    local build=build/esp/$app/${target}_$configuration path=test_apps/$app tests=("test_apps/$app") result=0
    local outcome=$report/$app.$target.$configuration.xml
    shift 4
    if [[ $app == cert_agent ]]; then
        path=. tests=(pytest_cert_mgmt.py pytest_clock.py pytest_link.py)
    fi
    if [[ $configuration == key_* ]]; then
        tests=(pytest_chip_keys.py)
    fi
    scripts/esp_report.py is-built "$report" "$app" "$target" "$configuration" || result=$?
    case $result in
        0) ;;
        3) return ;; # not for this target, says .build-test-rules.yml
        *) echo 'not built' >"$outcome"; return ;;
    esac
    echo "esp-test: $app on $target, $configuration"
    echo 'ended without a result' >"$outcome" # until it has one
    .venv/bin/python -m pytest -n auto "${tests[@]}" --embedded-services "$services" --target "$target" \
        --app-path "$path" --build-dir "$PWD/$build" --junitxml "$outcome" "$@" || result=$?
    if ((result == 5)); then # none of its tests was asked for, with -k
        rm -f "$outcome"
    elif ((result)); then
        status=1
    fi
}

[[ -z ${IDF_PATH:-} ]] || make_pki
rm -rf "$report"
build linux '=default'
for app in $ESP_APPS; do
    run "$app" linux default idf "$@"
done
build esp32c3 "${rules[@]}"
for app in $ESP_APPS; do
    for configuration in "${configurations[@]}"; do
        run "$app" esp32c3 "$configuration" idf,qemu "$@"
    done
done
.venv/bin/python scripts/esp_report.py tested "$report" || status=1
exit "$status"
