/* SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0 */

#include "sessions.h"

#include <search.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char client_id[CLIENT_ID_MAX_LEN + 1]; /**< the key */
    const struct mosquitto *client;        /**< compared, never used: it may be gone */
    role_t role;
} session_t;

static int compare(const void *left, const void *right)
{
    return strcmp(((const session_t *)left)->client_id, ((const session_t *)right)->client_id);
}

static session_t key_of(const char *client_id)
{
    session_t key = {.client = NULL};
    snprintf(key.client_id, sizeof(key.client_id), "%s", client_id);
    return key;
}

static session_t *find(const sessions_t *sessions, const char *client_id)
{
    session_t key = key_of(client_id);
    session_t *const *node = tfind(&key, &sessions->tree, compare);
    return node != NULL ? *node : NULL;
}

/* tsearch() keeps the session, which its prototype does not say. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
bool sessions_enter(sessions_t *sessions, const char *client_id, const struct mosquitto *client, role_t role)
{
    session_t *session = find(sessions, client_id);

    if (session == NULL) {
        session = malloc(sizeof(*session));
        if (session == NULL) {
            return false;
        }
        *session = key_of(client_id);
        if (tsearch(session, &sessions->tree, compare) == NULL) {
            free(session);
            return false;
        }
    }
    session->client = client;
    session->role = role;
    return true;
}
#pragma GCC diagnostic pop

void sessions_leave(sessions_t *sessions, const char *client_id, const struct mosquitto *client)
{
    session_t *session = find(sessions, client_id);

    if (session != NULL && session->client == client) {
        tdelete(session, &sessions->tree, compare);
        free(session);
    }
}

bool sessions_is_holder(const sessions_t *sessions, const char *client_id, const struct mosquitto *client)
{
    const session_t *session = find(sessions, client_id);
    return session != NULL && session->client == client;
}

role_t sessions_role_of(const sessions_t *sessions, const char *client_id)
{
    const session_t *session = find(sessions, client_id);
    return session != NULL ? session->role : ROLE_NONE;
}

bool sessions_may_take(const sessions_t *sessions, const char *client_id, role_t role)
{
    role_t held_as = sessions_role_of(sessions, client_id);
    return held_as == ROLE_NONE || held_as == ROLE_BOOTSTRAP || held_as == role;
}

void sessions_clear(sessions_t *sessions)
{
    tdestroy(sessions->tree, free);
    sessions->tree = NULL;
}
