/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Rotation: a new certificate over the operational connection, by CSR or pushed (docs/protocol.md, "Rotation").
 */
#pragma once

#include "cert_mgmt/cert_agent.h"

/** @brief Connected with an identity of our own: subscribe and say so; report a trial that was rolled back. */
void rotation_begin(cert_agent_t *agent);

/** @brief No answer yet: say again that the trial is connected, or send the request again. */
void rotation_repeat(cert_agent_t *agent);

/** @brief Ask for a new certificate if most of the current one's lifetime is over and the time is known. */
void rotation_renew_if_due(cert_agent_t *agent, uint64_t now_ms);

/**
 * @brief A message below `devices/<device id>/certs/`.
 * @param leaf  What follows it: "rotate", "issued", "rejected", "commit" or "trust"
 */
void rotation_message(cert_agent_t *agent, const char *leaf, const uint8_t *payload, size_t len, uint64_t now_ms);

/** @brief Say which identity and trust anchors the device is connected with. */
void rotation_report_connected(cert_agent_t *agent);

/** @brief Say that nothing was changed, and why. @param rotation_id  NULL: not about a rotation */
void rotation_report_rejected(cert_agent_t *agent, const char *rotation_id, cert_status_t code, const char *why);
