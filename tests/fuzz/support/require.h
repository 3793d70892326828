/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief What has to hold. A violation ends the process, which the fuzzer reports with the input that led there.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(condition, what)                                                   \
    do {                                                                           \
        if (!(condition)) {                                                        \
            fprintf(stderr, "%s:%d: violated: %s\n", __FILE__, __LINE__, (what));  \
            abort();                                                               \
        }                                                                          \
    } while (0)
