/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief What the agent asks of ESP-IDF: the cert_port_t of this port.
 */
#pragma once

#include <stdbool.h>

#include "cert_mgmt/cert_port.h"
#include "cert_mgmt/cert_settings.h"

/** @brief The functions the agent calls, all of them from the agent's task. */
extern const cert_port_t agent_port;

/** @brief Say where to connect. `settings` must stay as it is for good. */
void agent_port_configure(const cert_settings_t *settings);

/** @brief How much of what the agent reports is logged. */
cert_log_level_t *agent_port_log_level(void);

/** @brief Whether the agent has asked for a restart. */
bool agent_port_restart_requested(void);
