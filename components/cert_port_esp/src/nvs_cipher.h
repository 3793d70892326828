/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Reads what NVS has encrypted: AES-256-XTS, each entry by its place in the partition.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "nvs_flash.h"
#include "psa/crypto.h"

/** @brief The keys of a partition. */
typedef struct {
    psa_key_id_t data;
    psa_key_id_t tweak;
} nvs_cipher_t;

/** @brief Take the keys over. Returns false when there is no memory. Ends with nvs_cipher_close() in any case. */
bool nvs_cipher_open(nvs_cipher_t *cipher, const nvs_sec_cfg_t *keys);

/** @brief Decrypt an entry in place: an nvs_decrypt_t, whose key is an nvs_cipher_t. */
bool nvs_cipher_decrypt(const void *cipher, uint32_t offset, uint8_t *entry);

/** @brief Forget the keys. */
void nvs_cipher_close(nvs_cipher_t *cipher);
