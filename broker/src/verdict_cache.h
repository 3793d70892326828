/* SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0 */

/**
 * @file verdict_cache.h
 * @brief The identities that were let in lately, so that they still get in while the verdict service is away.
 *
 * Memory is bounded: a fixed number of sets with a few entries each; a full set forgets its least recently used entry.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "identity.h"

typedef struct verdict_cache verdict_cache_t;

/** @brief Makes an empty cache. @return NULL without memory. */
verdict_cache_t *verdict_cache_new(void);

/** @brief Frees a cache; NULL is allowed. */
void verdict_cache_free(verdict_cache_t *cache);

/** @brief Remembers that this certificate was allowed under this client id, with this role. */
void verdict_cache_put(verdict_cache_t *cache, const char *certificate_id, const char *client_id, role_t role,
                       int64_t now_ms);

/**
 * @brief The role under which this pair was last allowed; ROLE_NONE when unknown or too long ago.
 *
 * For services the certificate alone counts.
 */
role_t verdict_cache_get(const verdict_cache_t *cache, const char *certificate_id, const char *client_id,
                         int64_t now_ms);

/** @brief Forgets every entry of a certificate. */
void verdict_cache_forget(verdict_cache_t *cache, const char *certificate_id);
