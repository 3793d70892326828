/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Keeps NVS from opening, and so erasing, a partition that was not written the way this firmware reads it.
 */
#pragma once

#include "esp_err.h"
#include "nvs_flash.h"

/**
 * @brief See whether NVS can read what a partition holds. Writes nothing.
 *
 * @param keys          NULL: the partition is not encrypted.
 * @param[out] problem  Set with ESP_ERR_NVS_WRONG_ENCRYPTION: what is wrong, and what to do.
 * @return
 *      - ESP_OK: it can, or there is nothing that could be lost
 *      - ESP_ERR_NVS_WRONG_ENCRYPTION: it is encrypted and should not be, or the other way round, or with other keys
 *      - any other: the flash cannot be read
 */
esp_err_t nvs_guard_check(const char *partition, const nvs_sec_cfg_t *keys, const char **problem);
