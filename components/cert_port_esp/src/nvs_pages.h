/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief What is on the flash of an NVS partition, found out without NVS.
 *
 * NVS erases what it cannot read when it opens a partition: with the wrong key, or with none, that is everything. This
 * only reads.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "esp_err.h"

/** What NVS reads and encrypts at once. */
#define NVS_ENTRY_SIZE 32

/** @brief Decrypt an entry in place; `offset` is its place in the partition. Returns false if that cannot be done. */
typedef bool (*nvs_decrypt_t)(const void *key, uint32_t offset, uint8_t *entry);

/** @brief What a partition holds. */
typedef enum {
    NVS_PAGES_EMPTY,    /*!< Nothing that could be lost */
    NVS_PAGES_READABLE, /*!< Values that can be read this way */
    NVS_PAGES_FOREIGN,  /*!< Something, and none of it can be read this way */
} nvs_pages_t;

/**
 * @brief Look at an NVS partition.
 *
 * One value whose checksum is right is enough: what a loss of power has left half-written is for NVS to clean up.
 *
 * @param decrypt  NULL: as it is on the flash.
 * @return ESP_OK; ESP_ERR_NOT_FOUND: there is no such partition; or why the flash cannot be read
 */
esp_err_t nvs_pages_survey(const char *partition, nvs_decrypt_t decrypt, const void *key, nvs_pages_t *found);
