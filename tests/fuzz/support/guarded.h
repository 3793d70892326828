/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Bytes that end where the memory ends.
 *
 * cJSON and mbedTLS come from the distribution, without AddressSanitizer: a byte read past the end of a payload would
 * go unnoticed. Here it is a segmentation fault.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define GUARDED_MAX 16384

/**
 * @brief A copy of `len` bytes, at most GUARDED_MAX, right before a page nobody may touch. Valid until the next call.
 */
uint8_t *guarded_copy(const void *data, size_t len);
