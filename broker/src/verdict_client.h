/* SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0 */

/**
 * @file verdict_client.h
 * @brief Asks the registry, over a Unix socket, whether a certificate may connect.
 *
 * One line of JSON each way: {"certificate_id","client_id"} -> {"allow","role","reason"}. The broker has a single
 * thread, so an answer is awaited for VERDICT_TIMEOUT_MS at most; after a timeout nobody is asked again for
 * VERDICT_BACKOFF_MS.
 */
#pragma once

#include <stdint.h>

#include "identity.h"

#define VERDICT_TIMEOUT_MS 250
#define VERDICT_BACKOFF_MS 2000

typedef enum {
    VERDICT_ALLOW,
    VERDICT_DENY,
    VERDICT_UNAVAILABLE, /**< nobody answered: says nothing about the certificate */
} verdict_result_t;

typedef struct {
    verdict_result_t result;
    role_t role;      /**< when allowed */
    char reason[128]; /**< when denied or unavailable, for the log */
} verdict_t;

typedef struct {
    char path[108];
    int fd; /**< -1: not connected */
    int64_t retry_at_ms;
} verdict_client_t;

/** @brief Prepares a client; connects at the first question. @return false when the path does not fit. */
bool verdict_client_init(verdict_client_t *client, const char *socket_path);

/** @brief Closes the connection. */
void verdict_client_close(verdict_client_t *client);

/** @brief Asks for the verdict on a certificate that is used under a client id. */
verdict_t verdict_client_ask(verdict_client_t *client, const char *certificate_id, const char *client_id);

/** @brief Milliseconds on a clock that never goes back. */
int64_t monotonic_ms(void);
