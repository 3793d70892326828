/* SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0 */

/**
 * @file acl.h
 * @brief Which role may do what on which topic. A pure table: no broker, no state.
 */
#pragma once

#include <stdbool.h>

#include "identity.h"

/**
 * @brief Whether a client may access a topic.
 *
 * @param role       the client's role
 * @param client_id  the client's MQTT client id; for devices and bootstrap clients this is the device id
 * @param access     MOSQ_ACL_READ (a delivery), MOSQ_ACL_WRITE (a publication) or MOSQ_ACL_SUBSCRIBE
 * @param topic      the topic, or the topic filter as the client sent it (wildcards and $share included)
 * @return true when a rule allows it; what no rule mentions is denied
 */
bool acl_allows(role_t role, const char *client_id, int access, const char *topic);

/**
 * @brief The device a topic commands to rotate: such a command may carry a private key.
 *
 * @return true when the topic is devices/<id>/certs/rotate; the id is written to @p device_id
 */
bool acl_rotate_target(const char *topic, char device_id[CLIENT_ID_MAX_LEN + 1]);
