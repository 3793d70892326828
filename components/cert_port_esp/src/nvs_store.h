/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The agent's values in the NVS partition `certs`.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cert_mgmt/cert_status.h"
#include "esp_err.h"

/**
 * @brief Open the partition, encrypted if CONFIG_NVS_ENCRYPTION is set. Never erases it: what cannot be read today may
 * be somebody's only identity.
 */
esp_err_t nvs_store_open(void);

/** @brief Why nvs_store_open() has failed, and what to do, in words for an operator. */
const char *nvs_store_problem(void);

/** @brief Read a value: see cert_port_t. CERT_ERR_STORAGE while the store is not open, as from the two below. */
cert_status_t nvs_store_read(const char *key, uint8_t *buf, size_t cap, size_t *len);

/** @brief Replace a value: see cert_port_t. */
cert_status_t nvs_store_write(const char *key, const uint8_t *data, size_t len);

/** @brief Erase a value: see cert_port_t. */
cert_status_t nvs_store_erase(const char *key);
