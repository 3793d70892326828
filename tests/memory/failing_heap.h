/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief A heap that refuses one allocation, made inside a call of the core (mbedTLS, cJSON). The test's own succeed.
 */
#pragma once

#include <stdbool.h>

/** @brief Refuse the allocation of this number, counted from 1. */
void failing_heap_refuse(unsigned number);

/** @brief Refuse the allocation of this number and all after it. */
void failing_heap_refuse_from(unsigned number);

/** @brief Refuse none any more. @return whether one was refused */
bool failing_heap_stop(void);
