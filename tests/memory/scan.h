/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Searches the memory of another process: heap with all that was freed, stack with all that has returned, data.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** @brief A copy of a process's private writable memory. */
typedef struct scan scan_t;

/** @brief Copy it. The process has to be a child, and to wait. Free with scan_free(). */
scan_t *scan_take(pid_t pid);

/** @brief Release a copy. */
void scan_free(scan_t *scan);

/** @brief Bytes copied. */
size_t scan_size(const scan_t *scan);

/**
 * @brief Where the bytes stand, outside the `allowed_len` bytes at `allowed`.
 * @return The first address in the process; 0: nowhere
 */
uintptr_t scan_find(const scan_t *scan, const uint8_t *bytes, size_t len, uintptr_t allowed, size_t allowed_len);

/** @brief The name of the mapping that an address is in, e.g. "[heap]". */
const char *scan_name(const scan_t *scan, uintptr_t address);
