/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The keys that the store is encrypted with, by the scheme chosen in menuconfig (NVS_SEC_KEY_PROTECTION_SCHEME).
 */
#pragma once

#include "esp_err.h"
#include "nvs_flash.h"

/**
 * @brief Get the keys of an NVS partition.
 *
 * Unlike nvs_flash_init(), which makes new keys whenever the old ones cannot be read and so gives up everything they
 * encrypted, this makes keys only where there was nothing to lose: CONFIG_CERT_PORT_NVS_MAKE_KEYS is set, there are no
 * keys yet, and the partition has never been written to.
 *
 * @param[out] keys     To be wiped by the caller.
 * @param[out] problem  May be set with an error: what is wrong, and what to do.
 * @return ESP_OK, or why there are no keys
 */
esp_err_t nvs_encryption_keys(const char *partition, nvs_sec_cfg_t *keys, const char **problem);
