/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief How this firmware keeps private keys: the backend chosen in menuconfig. One keys_*.c is built for each choice.
 */
#pragma once

#include <stdbool.h>

#include "cert_mgmt/cert_key_backend.h"

/** @brief The key of a connection as esp-tls wants it: the key itself, or what the DS peripheral needs. */
typedef struct {
    const char *der; /*!< May be PEM: esp-tls takes either */
    size_t der_len;
    void *ds_data;   /*!< NULL: the key is in `der` */
} keys_tls_t;

/** @brief The backend for the agent; NULL: software. */
const cert_key_backend_t *keys_backend(void);

/**
 * @brief Give esp-tls a key of this firmware's backend. It has to stay as it is while the connection lasts.
 * @return CERT_OK; CERT_ERR_UNSUPPORTED (a key of another backend), CERT_ERR_CORRUPT, CERT_ERR_INTERNAL
 */
cert_status_t keys_for_tls(cert_key_kind_t kind, const uint8_t *ref, size_t ref_len, keys_tls_t *out);

/** @brief Wipe what keys_for_tls() gave. Call when the connection has ended. */
void keys_forget_tls(void);

/** @brief Print which eFuse block the key of this reference uses, and what is in all of them. */
void keys_print(cert_key_kind_t kind, const uint8_t *ref, size_t ref_len, void (*print)(const char *line));

/** @brief Print which eFuses would be burned, when, and why not if they may not. */
void keys_print_plan(void (*print)(const char *line));
