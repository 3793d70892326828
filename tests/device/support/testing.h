/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief cmocka with the headers it wants before it.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/** Number of elements of an array. */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** Run the array `tests` as the group of this program. */
#define RUN_TESTS(tests) cmocka_run_group_tests(tests, NULL, NULL)
