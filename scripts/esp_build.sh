#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds the firmware and the test apps with the ESP-IDF in IDF_PATH, into build/esp/APP/TARGET_CONFIGURATION. Goes on when a
# build fails (warnings fail, too), and ends with a table of what was built.
# Exit code 1: something failed; 2: there is nothing to build with; 3: the options and .build-test-rules.yml left nothing to build.
# Usage: scripts/esp_build.sh [OPTION OF idf-build-apps...]    e.g. --target esp32c3, --config sdkconfig.ci.qemu=qemu
#   ESP_APPS       only these apps: cert_agent and the folders of test_apps/ and examples/ (default: all)
#   ESP_PKI        folder with the bootstrap identity to build in (default: certs)
#   ESP_SDKCONFIG  further sdkconfig files, separated by commas
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'esp-build: %s\n' "$*" >&2; exit 2; }

if [[ -z ${IDF_PATH:-} ]]; then
    fail 'there is no ESP-IDF here: IDF_PATH is not set. Once:
    git clone --recursive --branch v5.5.5 https://github.com/espressif/esp-idf.git   (or v6.0.2)
    esp-idf/install.sh --enable-ci
and in every shell:
    . esp-idf/export.sh'
fi
[[ -f $IDF_PATH/tools/idf.py ]] || fail "IDF_PATH is $IDF_PATH, which is not an ESP-IDF: there is no tools/idf.py"
command -v idf-build-apps >/dev/null ||
    fail "there is no idf-build-apps: run  . $IDF_PATH/export.sh  in this shell; if that does not help,  $IDF_PATH/install.sh --enable-ci"

pki=$(realpath -m "${ESP_PKI:-certs}")
[[ -f $pki/bootstrap.crt ]] ||
    fail "there is no bootstrap identity in $pki: scripts/make_test_pki.py makes one for tests; ESP_PKI names another folder"

options=("$@")
if [[ -n ${ESP_SDKCONFIG:-} ]]; then
    options+=(--override-sdkconfig-files "$ESP_SDKCONFIG")
fi
options+=(--override-sdkconfig-items "CONFIG_CERT_APP_BOOTSTRAP_DIR=\"$pki\"")

firmware=no
others=() # apps of test_apps/ and examples/, as seen from test_apps/
for app in ${ESP_APPS:-}; do
    if [[ $app == cert_agent ]]; then
        firmware=yes
    elif [[ -f test_apps/$app/CMakeLists.txt ]]; then
        others+=("$app")
    elif [[ -f examples/$app/CMakeLists.txt ]]; then
        others+=("../examples/$app")
    else
        fail "ESP_APPS: there is no app $app"
    fi
done

report=$PWD/build/esp/report # what idf-build-apps says of each build
mkdir -p "$report"
rm -f "$report"/*.jsonl
status=0

build() { # FOLDER [OPTION OF idf-build-apps...]
    local folder=$1
    shift
    (cd "$folder" && idf-build-apps build "${options[@]}" "$@") || status=1
}

if [[ -z ${ESP_APPS:-} || $firmware == yes ]]; then
    build . --collect-app-info "$report/firmware.jsonl"
fi
if [[ -z ${ESP_APPS:-} ]]; then
    build test_apps --collect-app-info "$report/test_apps.jsonl"
elif ((${#others[@]})); then
    build test_apps --collect-app-info "$report/test_apps.jsonl" --paths "${others[@]}"
fi

result=0
python3 scripts/esp_report.py built "$report" || result=$?
exit "$((status ? status : result))"
