/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief New trust anchors from the cloud, and how they prove themselves (docs/protocol.md, "Trust anchors").
 */
#pragma once

#include <cJSON.h>

#include "cert_mgmt/cert_agent.h"

/**
 * @brief Load the anchors to connect with: the set on trial if there is one, else the proven set, else the factory's.
 */
cert_status_t trust_update_load(cert_agent_t *agent);

/**
 * @brief Erase a set on trial that is corrupt, or proven already and left behind by a loss of power. After
 * trust_update_load().
 */
void trust_update_tidy(cert_agent_t *agent);

/** @brief A message on `devices/<device id>/certs/trust`. */
void trust_update_message(cert_agent_t *agent, const cJSON *tree, uint64_t now_ms);

/** @brief A server has been verified: a set on trial has proven itself. */
void trust_update_proven(cert_agent_t *agent);

/** @brief A server was not trusted: after CERT_TRIAL_LIMIT times in a row a set on trial is given up. */
void trust_update_failed(cert_agent_t *agent);
