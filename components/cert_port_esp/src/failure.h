/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief What the errors of esp-mqtt and esp-tls say about the identities.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cert_mgmt/cert_port.h"
#include "mqtt_client.h"

/**
 * @brief Find out why a connection could not be made, or ended.
 * @param error      The last MQTT_EVENT_ERROR of the connection; all zero if there was none.
 * @param was_up     The broker had accepted the connection.
 * @param[out] detail  What the libraries say, for the log.
 */
cert_failure_t failure_classify(const esp_mqtt_error_codes_t *error, bool was_up, char *detail, size_t cap);
