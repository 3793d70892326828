/* SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0 */

/**
 * @file sessions.h
 * @brief The live sessions: which client holds a client id now, and in which role.
 *
 * The broker has one space of client ids for all listeners, and a newcomer takes over the session of its name. So it
 * must be known, before a newcomer is let in, whose session that is. Memory is bounded by the open connections.
 */
#pragma once

#include <stdbool.h>

#include "identity.h"

struct mosquitto;

typedef struct {
    void *tree;
} sessions_t;

/** @brief Records that a client holds a client id from now on, whoever held it before. @return false without memory. */
bool sessions_enter(sessions_t *sessions, const char *client_id, const struct mosquitto *client, role_t role);

/** @brief Records that a client is gone; nothing happens when another holds the client id by now. */
void sessions_leave(sessions_t *sessions, const char *client_id, const struct mosquitto *client);

/** @brief Whether this very client holds the client id. */
bool sessions_is_holder(const sessions_t *sessions, const char *client_id, const struct mosquitto *client);

/**
 * @brief Whether a newcomer in this role may have the client id.
 *
 * A session ends for a newcomer in the same role only: the shared bootstrap certificate must not throw devices off.
 * Bootstrap sessions, worth little, end for everyone.
 */
bool sessions_may_take(const sessions_t *sessions, const char *client_id, role_t role);

/** @brief The role in which a client id is held; ROLE_NONE when nobody holds it. */
role_t sessions_role_of(const sessions_t *sessions, const char *client_id);

/** @brief Forgets everything. */
void sessions_clear(sessions_t *sessions);
