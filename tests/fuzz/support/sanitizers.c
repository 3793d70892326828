/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * Defaults of the sanitizers. mbedTLS allocates every number it calculates with: short stack traces make that twice as
 * fast. A counterexample is replayed with long ones: ASAN_OPTIONS=malloc_context_size=30.
 */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "malloc_context_size=2:quarantine_size_mb=16:strict_string_checks=1:detect_stack_use_after_return=0";
}
