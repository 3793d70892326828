/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The power of the emulated flash, and its content.
 *
 * esp_partition_fail_after() lets one operation fail half-way, and the next ones succeed. Here, as without power, all
 * that follow fail too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/** @brief Where the power went. */
typedef enum {
    POWER_IS_ON,
    POWER_CUT_IN_WRITE,
    POWER_CUT_IN_ERASE,
} power_state_t;

/** @brief Never: a number of steps no story takes. */
#define POWER_NEVER_CUT ((size_t)-1)

/** @brief Power on, until so many steps have been done: a step is a 4-byte word written or a page erased. */
void power_on_for(size_t steps);

power_state_t power_state(void);

/** @brief Pages erased since power_on_for(). */
size_t power_pages_erased(void);

/** @brief Make all of the store's partition as from the factory: erased. */
void flash_erase(void);

/** @brief Remember the partition's content, and bring it back. There is one memory. */
void flash_save(void);
void flash_restore(void);
