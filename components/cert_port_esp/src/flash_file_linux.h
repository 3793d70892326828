/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The emulated flash of the `linux` target as a file that stays: ESP-IDF would take a new, empty one at every
 *        start.
 */
#pragma once

#include <stdbool.h>

/**
 * @brief Use `<directory>/flash` as the flash; make it first if need be, empty but for the partition table.
 * @return false with errno set
 */
bool flash_file_open(const char *directory);
