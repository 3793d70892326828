/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The settings of a device: read and changed at the console, kept in the store.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cert_mgmt/cert_limits.h"
#include "cert_mgmt/cert_port.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Longest host name (RFC 1035 section 2.3.4), without the terminating NUL. */
#define CERT_HOST_MAX 253

/** @brief The settings. Read them at boot; a change takes effect at the next restart. */
typedef struct {
    char id[CERT_DEVICE_ID_MAX + 1];     /*!< `id`: device id; "" until set */
    char broker[CERT_HOST_MAX + 1];      /*!< `broker`: host name or address; "" until set */
    uint32_t port;                       /*!< `port`: operational listener, 1..65535 */
    uint32_t bootstrap_port;             /*!< `bootstrap-port`: bootstrap listener, 1..65535 */
    uint32_t backoff_min_ms;             /*!< `backoff-min-ms`: 10..3600000 */
    uint32_t backoff_max_ms;             /*!< `backoff-max-ms`: 10..86400000 */
    char time_server[CERT_HOST_MAX + 1]; /*!< `time-server`: whom a port asks that sets the clock; "" until set */
} cert_settings_t;

/** @brief Fill in the defaults: port 8883, bootstrap-port 8884, backoff 1 s to 5 min; no id, broker or time server. */
void cert_settings_default(cert_settings_t *settings);

/**
 * @brief Lay the stored settings over what `settings` holds.
 * @return CERT_OK also when nothing is stored; CERT_ERR_CORRUPT (settings unchanged), CERT_ERR_STORAGE
 */
cert_status_t cert_settings_load(cert_settings_t *settings, const cert_port_t *port);

/**
 * @brief Change one setting in memory and, if the value is good, in the store.
 * @return CERT_OK; CERT_ERR_NOT_FOUND (no such key), CERT_ERR_INVALID_ARG (bad value), CERT_ERR_STORAGE,
 *         CERT_ERR_STORAGE_FULL, CERT_ERR_INTERNAL (for want of memory): settings unchanged
 */
cert_status_t cert_settings_set(cert_settings_t *settings, const cert_port_t *port, const char *key, const char *value);

/** @brief Name of the setting at `index`, NULL past the last. */
const char *cert_settings_key(size_t index);

/**
 * @brief The value of one setting as text.
 * @return CERT_OK, CERT_ERR_NOT_FOUND, CERT_ERR_TOO_LARGE
 */
cert_status_t cert_settings_get(const cert_settings_t *settings, const char *key, char *out, size_t cap);

#ifdef __cplusplus
}
#endif
