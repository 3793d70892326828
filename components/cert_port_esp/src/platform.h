/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Where a chip and the `linux` target differ.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cert_mgmt/cert_port.h"
#include "esp_err.h"
#include "sdkconfig.h"

/** @brief Get ready what the store lies on. */
esp_err_t platform_init(void);

/** @brief RAM that survives a restart; any content after a loss of power. */
cert_boot_ram_t *platform_boot_ram(void);

#if CONFIG_IDF_TARGET_LINUX
/** @brief Lose that RAM at the next restart, as a loss of power would. */
bool platform_lose_boot_ram(void);
#endif

/** @brief Make up a device id, for a device that has been given none. */
void platform_make_id(char *id, size_t cap);

/** @brief Restart the device. */
_Noreturn void platform_restart(void);
