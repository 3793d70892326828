/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Long lives with everything at once: orders of all kinds, many cuts, messages lost, repeated and out of order.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/** @brief Live one such life. @param[out] cuts  Cuts in it. @return whether the device came through */
bool chaos_run(uint32_t seed, bool is_verbose, unsigned *cuts);
