#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
#
# Fuzzes the device core: builds the targets with clang, runs each for FUZZ_SECONDS (60), prints a table.
# Usage: tests/fuzz/run.sh [TARGET...]
#
# With FUZZ_RUNS=N each target makes N executions from a fixed seed instead: the same code gets the same inputs, but for a few.
# That is for continuous integration, where a change of the code should be what changes the outcome.
#
# What is found on the way stays in build/fuzz/corpus and is the start of the next run. `tests/fuzz/run.sh --minimise`
# makes tests/fuzz/corpus anew from it: the fewest inputs that reach all that is reached.
# Fails if a target crashes; the input is kept in tests/fuzz/crashes/TARGET, from where every later run replays it.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [[ -n ${FUZZ_RUNS-} ]]; then
    extent=(-runs="$FUZZ_RUNS" -seed=1) # no value profile: that has addresses in it, which differ each time
else
    extent=(-max_total_time="${FUZZ_SECONDS:-60}" -use_value_profile=1)
fi
build=build/fuzz
sources=tests/fuzz
all_targets=(messages credentials store console agent)
declare -A longest_input=([messages]=8300 [credentials]=4096 [store]=4096 [console]=2048 [agent]=1024)

fail() { printf 'fuzz: %s\n' "$*" >&2; exit 4; }

find_clang() {
    local name
    for name in clang clang-{21..14}; do
        command -v "$name" && return
    done
    fail "no clang here; on Debian and Ubuntu: apt-get install clang"
}

# "Debian clang" comes without the fuzzer's runtime unless it is asked for.
check_runtime() {
    local probe=$build/.probe.c
    mkdir -p "$build"
    echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d == 0 && n == 1; }' >"$probe"
    "$1" -fsanitize=fuzzer,address "$probe" -o "$build/.probe" 2>"$build/.probe.log" ||
        fail "$1 cannot build fuzzers; on Debian and Ubuntu: apt-get install libclang-rt-dev
$(head -3 "$build/.probe.log")"
}

build_targets() {
    local clang
    clang=$(find_clang)
    check_runtime "$clang"
    scripts/ninja.sh "$sources" "$build" -DCMAKE_C_COMPILER="$clang"
    "$build/write_seeds" "$build/seeds"
}

# Runs one target; leaves the log in build/fuzz/TARGET.log. libFuzzer's workers need no terminal.
fuzz() {
    local target=$1
    mkdir -p "$build/corpus/$target" "$sources/crashes/$target"
    local folders=("$build/corpus/$target" "$build/seeds/$target" "$sources/corpus/$target" "$sources/crashes/$target")
    "$build/fuzz_$target" "${extent[@]}" -max_len="${longest_input[$target]}" -len_control=20 -timeout=25 \
        -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$sources/crashes/$target/" \
        "${folders[@]}" >"$build/$target.log" 2>&1
}

# The last number that stands after a word in a log: "cov: 812" -> 812
number() { grep -aoE "$2:? +[0-9]+" "$build/$1.log" | tail -1 | grep -oE '[0-9]+$' || echo 0; }

print_row() { printf '%-12s %12s %10s %10s %10s   %s\n' "$@"; }

report() {
    local target=$1 outcome=$2
    print_row "$target" "$(number "$target" 'stat::number_of_executed_units')" "$(number "$target" cov)" \
        "$(number "$target" 'corp')" "$(number "$target" 'exec/s')" "$outcome"
}

minimise() {
    local target
    for target in "$@"; do
        rm -rf "$build/minimised" && mkdir -p "$build/minimised"
        "$build/fuzz_$target" -set_cover_merge=1 -max_len=2048 "$build/minimised" "$build/seeds/$target" \
            "$build/corpus/$target" "$sources/corpus/$target" >"$build/$target.log" 2>&1 ||
            fail "the corpus of $target could not be minimised: see $build/$target.log"
        rm -rf "${sources:?}/corpus/$target" && mv "$build/minimised" "$sources/corpus/$target"
        printf '%-12s %s\n' "$target" "$(du -sh --apparent-size "$sources/corpus/$target" | cut -f1)"
    done
}

minimising=false
if [[ ${1-} == --minimise ]]; then
    minimising=true
    shift
fi
targets=("${@:-${all_targets[@]}}")
(($# > 0)) || targets=("${all_targets[@]}")
build_targets
if $minimising; then
    minimise "${targets[@]}"
    exit
fi

# As many at a time as there are processors.
declare -A job
for target in "${targets[@]}"; do
    [[ -n ${longest_input[$target]-} ]] || fail "no target '$target'; there are ${all_targets[*]}"
    while (($(jobs -rp | wc -l) >= $(nproc))); do
        wait -n || true
    done
    fuzz "$target" &
    job[$target]=$!
done

print_row target executions edges inputs exec/s outcome
crashed=()
for target in "${targets[@]}"; do
    outcome=ok
    wait "${job[$target]}" || { outcome=CRASH; crashed+=("$target"); }
    report "$target" "$outcome"
done

for target in "${crashed[@]}"; do
    cause=$(grep -aE 'violated|runtime error|ERROR: ' "$build/$target.log" | head -1)
    printf '\nfuzz: %s crashed: %s\n' "$target" "$cause"
    input=$(grep -aoE "$sources/crashes/$target/[^ ]+" "$build/$target.log" | tail -1 || true)
    printf '  again: %s\n' "$build/fuzz_$target ${input:-$sources/crashes/$target/*}"
    printf '  log:   %s\n' "$build/$target.log"
done
((${#crashed[@]} == 0))
