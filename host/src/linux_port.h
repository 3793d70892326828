/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The core's port to Linux: cert_port_t on top of the state directory and the MQTT client.
 */
#pragma once

#include <stdbool.h>

#include "cert_mgmt/cert_port.h"
#include "cert_mgmt/cert_settings.h"
#include "mqtt_client.h"
#include "state_dir.h"

/** @brief What the port works on. */
typedef struct {
    state_dir_t *state;
    mqtt_client_t *mqtt;
    const cert_settings_t *settings; /*!< Broker and ports to connect to */
    bool restart_requested;          /*!< Set by the core: restart once its call has returned */
} linux_port_t;

/** @brief The port whose functions work on `linux_port`. */
cert_port_t linux_port_make(linux_port_t *linux_port);
