/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The MQTT connection: one esp-mqtt client for each connection the agent asks for.
 *
 * Called from the agent's task only. What happens is posted to the event queue: for each connection at most one
 * EVENT_CONNECTED, and one EVENT_DISCONNECTED unless mqtt_link_close() came first.
 */
#pragma once

#include "cert_mgmt/cert_port.h"

/**
 * @brief Begin to connect; closes a connection that is still open.
 *
 * esp-mqtt keeps pointers to the credentials: what `request` points to must stay as it is until the next call of
 * mqtt_link_open() or mqtt_link_close().
 */
void mqtt_link_open(const cert_connect_t *request, const char *host, uint32_t port);

/** @brief End the connection; what was published has been handed to TCP before. */
void mqtt_link_close(void);

/** @brief Subscribe, QoS 1. */
void mqtt_link_subscribe(const char *topic);

/** @brief Publish, QoS 1. Returns CERT_OK, CERT_ERR_STORAGE_FULL (no memory), CERT_ERR_INTERNAL (not connected). */
cert_status_t mqtt_link_publish(const char *topic, const char *payload, size_t len);
