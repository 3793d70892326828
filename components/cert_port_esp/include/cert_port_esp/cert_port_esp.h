/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Runs the certificate agent (cert_mgmt) on ESP-IDF, in a task of its own.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "esp_err.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @brief The bootstrap identity: shared, from the factory. What it points to must stay there for good. */
typedef struct {
    const char *chain_pem;   /*!< Certificate (chain), PEM, NUL-terminated */
    const uint8_t *key;      /*!< Private key, DER, or PEM with `key_len` counting the NUL */
    size_t key_len;
    const char *anchors_pem; /*!< Root certificates of the cloud, PEM, NUL-terminated */
} cert_port_esp_bootstrap_t;

/**
 * @brief Start the agent and its console. Call once, after esp_netif_init() and esp_event_loop_create_default(). The
 * network may come up before or after: the first attempt to connect waits for an address.
 *
 * Opens the NVS partition `certs`, which must exist; never erases it. Where `certs` cannot be opened, or was written by
 * a newer firmware, nothing is touched and the device stays offline; the log and `status` at the console say why. So
 * an application should not abort on an error: a restart would only take the console away.
 *
 * @return
 *      - ESP_OK: the agent runs, or waits for a broker to be set at the console
 *      - ESP_ERR_INVALID_ARG: the agent does not accept the bootstrap identity or the stored settings
 *      - ESP_ERR_INVALID_STATE: there is no default event loop, the store is open already, or the settings in it cannot
 *        be used
 *      - ESP_ERR_NO_MEM: no memory for the task, its queue or the console
 *      - any other: the store cannot be used; the console runs
 */
esp_err_t cert_port_esp_start(const cert_port_esp_bootstrap_t *bootstrap);

#ifdef __cplusplus
}
#endif
