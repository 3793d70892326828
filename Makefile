# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup build demo test test-c test-python esp-build esp-test chaos bench coverage fuzz size powercut lint format clean

DEVICES ?= 1
FUZZ_SECONDS ?= 60
FUZZ_RUNS ?=
ROUNDS ?= 100
ARGS ?=
PYTHON := .venv/bin/python
# What only the tests of the cloud need. Ubuntu has Chromium only as a snap: there the tests of the dashboard are skipped.
TEST_PACKAGES := curl libfaketime postgresql prometheus softhsm2 \
	$(shell grep -qs '^ID=debian' /etc/os-release && echo chromium)
# One build at a time per folder, however many makes run. Build output goes to stderr: stdout is the target's own.
NINJA := @flock build/.build.lock scripts/ninja.sh

help: ## List the targets
	@echo "Targets (each sets the machine up first if need be):"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Options:"
	@echo "  make demo DEVICES=25      the same life for 25 devices at once"
	@echo "  make demo ARGS=--json     one JSON object per step"
	@echo "  make fuzz FUZZ_SECONDS=600 each target ten minutes instead of one"
	@echo "  make test ARGS='-k rotate' only some of the Python tests"
	@echo "  make esp-build ARGS='--target esp32c3'  only one chip; see scripts/esp_build.sh"
	@echo "  make esp-test ESP_APPS=crash_loop  only one app, esp-build too; see scripts/esp_test.sh"

setup: ## Install what is missing (packages, Python environment)
	@scripts/setup.sh

build: setup ## Build the Linux device agent and the broker plugin
	$(NINJA) host build/host -DCMAKE_BUILD_TYPE=RelWithDebInfo
	$(NINJA) broker build/broker -DCMAKE_BUILD_TYPE=RelWithDebInfo

demo: build ## Watch a device's whole life: born, enrolled, rotated, attacked, retired
	@$(PYTHON) -m fleetpki.sim.demo --devices $(DEVICES) $(ARGS)

test: test-c test-python ## Run all tests
	@echo "test: all passed"

test-c: build # C unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(NINJA) host build/asan -DCMAKE_BUILD_TYPE=Debug -DCERT_SANITIZE=ON
	$(NINJA) tests/fuzz build/replay -DCMAKE_C_COMPILER=gcc
	$(NINJA) host build/powercut -DBUILD_TESTING=ON -DCMAKE_BUILD_TYPE=Release
	@ctest --test-dir build/asan --output-on-failure --parallel $$(nproc)
	@ctest --test-dir build/powercut --output-on-failure -R memory # as it is without sanitizers
	@ctest --test-dir build/replay --output-on-failure --parallel $$(nproc)
	@ctest --test-dir build/broker --output-on-failure

test-python: build # Cloud units, system tests, and the device's life through pytest-embedded
	@scripts/setup.sh $(TEST_PACKAGES)
	@$(PYTHON) -m pytest -q -n auto $(ARGS)

chaos: build ## Kill the cloud's processes under load, ROUNDS times: nothing is lost or doubled
	@FLEETPKI_KILL_ROUNDS=$(ROUNDS) $(PYTHON) -m pytest -q -p no:xdist tests/system/test_kill.py $(ARGS)

bench: build ## Measure speed beside cfssl, step-ca and OpenSSL; the figures go to bench/RESULTS.md
	@scripts/setup.sh golang-cfssl golang-go golang-github-smallstep-certificates-dev wrk postgresql
	@$(PYTHON) -m bench --keep bench $(ARGS)

esp-build: setup ## Build the firmware for every chip, and the test apps, with the ESP-IDF in IDF_PATH
	@scripts/esp_build.sh $(ARGS)

esp-test: build ## Run the firmware's tests on Linux and in Espressif's QEMU, with the ESP-IDF in IDF_PATH
	@scripts/esp_test.sh $(ARGS)

fuzz: setup ## Fuzz the device core under sanitizers; see tests/fuzz/README.md
	@scripts/setup.sh clang libclang-rt-dev
	@FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_RUNS=$(FUZZ_RUNS) tests/fuzz/run.sh

size: setup ## How small the device core is: code for RV32, worst stack, peak heap
	@scripts/setup.sh gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf
	$(NINJA) host build/size -DBUILD_TESTING=ON
	@$(PYTHON) tests/size/core_size.py build/size/size/core_heap

coverage: setup ## What the C tests reach of the device core, line by line and branch by branch
	$(NINJA) host build/coverage -DBUILD_TESTING=ON -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS=--coverage
	@find build/coverage -name '*.gcda' -delete
	@ctest --test-dir build/coverage --output-on-failure --parallel $$(nproc) >&2
	@$(PYTHON) -m gcovr --root . --filter components/cert_mgmt/ --fail-under-line 95 --fail-under-branch 90 --txt - --txt-summary \
		build/coverage/CMakeFiles/cert_mgmt.dir

.PHONY: analyze
analyze: build ## gcc -fanalyzer, clang-tidy and cppcheck over the C that ships
	@scripts/setup.sh clang-tidy cppcheck
	@scripts/analyze.sh

powercut: setup ## Cut the power at every change of the device's store, and again during the recovery
	$(NINJA) host build/powercut -DBUILD_TESTING=ON -DCMAKE_BUILD_TYPE=Release
	@build/powercut/powercut/powercut

lint: setup ## Check style and types
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@git ls-files '*.c' '*.h' | xargs awk 'length > 120 { print FILENAME ":" FNR ": longer than 120"; bad = 1 } END { exit bad }'

format: setup ## Format the Python code
	@$(PYTHON) -m ruff check --fix-only .
	@$(PYTHON) -m ruff format .

clean: ## Remove builds and the Python environment; keeps every PKI
	rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis pytest_embedded_log
