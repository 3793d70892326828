/* SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0 */

#include "verdict_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SET_COUNT 8192
#define SET_SIZE 4
#define MAX_AGE_MS (INT64_C(24) * 60 * 60 * 1000)

typedef struct {
    role_t role; /**< ROLE_NONE: the entry is free */
    int64_t put_at_ms;
    char certificate_id[CERTIFICATE_ID_LEN + 1];
    char client_id[CLIENT_ID_MAX_LEN + 1];
} entry_t;

struct verdict_cache {
    entry_t sets[SET_COUNT][SET_SIZE];
};

verdict_cache_t *verdict_cache_new(void)
{
    return calloc(1, sizeof(verdict_cache_t));
}

void verdict_cache_free(verdict_cache_t *cache)
{
    free(cache);
}

/* A certificate id is a hash already: its first digits spread certificates evenly over the sets. */
static size_t set_index(const char *certificate_id)
{
    char head[9];
    snprintf(head, sizeof(head), "%s", certificate_id);
    return strtoul(head, NULL, 16) % SET_COUNT;
}

/* Services choose a client id for each connection: what was allowed under one is allowed under all. */
static bool is_for(const entry_t *entry, const char *certificate_id, const char *client_id)
{
    return entry->role != ROLE_NONE && strcmp(entry->certificate_id, certificate_id) == 0 &&
           (entry->role == ROLE_SERVICE || strcmp(entry->client_id, client_id) == 0);
}

/* The entry of this pair if there is one, else a free one, else the oldest. */
static entry_t *entry_to_write(entry_t set[SET_SIZE], const char *certificate_id, const char *client_id)
{
    entry_t *candidate = &set[0];

    for (size_t i = 0; i < SET_SIZE; i++) {
        if (is_for(&set[i], certificate_id, client_id)) {
            return &set[i];
        }
        if (candidate->role != ROLE_NONE &&
            (set[i].role == ROLE_NONE || set[i].put_at_ms < candidate->put_at_ms)) {
            candidate = &set[i];
        }
    }
    return candidate;
}

void verdict_cache_put(verdict_cache_t *cache, const char *certificate_id, const char *client_id, role_t role,
                       int64_t now_ms)
{
    entry_t *entry = entry_to_write(cache->sets[set_index(certificate_id)], certificate_id, client_id);

    entry->role = role;
    entry->put_at_ms = now_ms;
    snprintf(entry->certificate_id, sizeof(entry->certificate_id), "%s", certificate_id);
    snprintf(entry->client_id, sizeof(entry->client_id), "%s", client_id);
}

role_t verdict_cache_get(const verdict_cache_t *cache, const char *certificate_id, const char *client_id,
                         int64_t now_ms)
{
    const entry_t *set = cache->sets[set_index(certificate_id)];

    for (size_t i = 0; i < SET_SIZE; i++) {
        if (is_for(&set[i], certificate_id, client_id)) {
            return now_ms - set[i].put_at_ms <= MAX_AGE_MS ? set[i].role : ROLE_NONE;
        }
    }
    return ROLE_NONE;
}

void verdict_cache_forget(verdict_cache_t *cache, const char *certificate_id)
{
    entry_t *set = cache->sets[set_index(certificate_id)];

    for (size_t i = 0; i < SET_SIZE; i++) {
        if (strcmp(set[i].certificate_id, certificate_id) == 0) {
            memset(&set[i], 0, sizeof(set[i]));
        }
    }
}
