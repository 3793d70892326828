/* SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0 */

/**
 * @file stamp.h
 * @brief The sender's certificate id, put on every certificate message as an MQTT 5 user property.
 *
 * It turns "the connection's certificate is the new one" from a claim of the sender into a fact the cloud can act on.
 */
#pragma once

#include <stdbool.h>

#include <mosquitto_broker.h>

/** Name of the user property that carries the certificate id. */
#define STAMP_PROPERTY "certificate-id"

/** @brief Whether messages on this topic are stamped. */
bool stamp_applies_to(const char *topic);

/**
 * @brief Stamps a message.
 *
 * A message that brings user properties of its own is refused: on these topics they are the broker's to write, and
 * whether a plugin has to free properties it takes out differs between Mosquitto releases (2.0.15 changed it).
 *
 * @return MOSQ_ERR_SUCCESS, MOSQ_ERR_ACL_DENIED for a message with user properties, or MOSQ_ERR_NOMEM
 */
int stamp_message(mosquitto_property **properties, const char *certificate_id);
