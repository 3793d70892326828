/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The eFuse key blocks of chips whose blocks have a purpose. A key is burned once, for good.
 */
#pragma once

#include <stdint.h>

#include "esp_efuse.h"
#include "esp_efuse_chip.h"
#include "esp_err.h"

/** Length of a key in an eFuse block. */
#define EFUSE_KEY_LEN 32

/** @brief Why no key may be burned at all, as text; NULL: it may. */
const char *efuse_keys_refusal(void);

/** @brief How many blocks have this purpose. */
unsigned efuse_keys_count(esp_efuse_purpose_t purpose);

/** @brief "KEY0" … */
const char *efuse_keys_name(esp_efuse_block_t block);

/**
 * @brief Burn a key, read- and write-protected, with its purpose. PERMANENT.
 * @param key  EFUSE_KEY_LEN bytes.
 * @return
 *      - ESP_OK: the hardware has the key, software cannot read it
 *      - ESP_ERR_NOT_ALLOWED: see efuse_keys_refusal(); nothing was burned
 *      - ESP_ERR_INVALID_STATE: the block is taken, or is not what was burned
 */
esp_err_t efuse_keys_burn(esp_efuse_block_t block, esp_efuse_purpose_t purpose, const uint8_t *key);

/** @brief Print a line for each block: free, or its purpose and protection. */
void efuse_keys_print(void (*print)(const char *line));
