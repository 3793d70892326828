/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Enrolment: from the bootstrap certificate to an identity of one's own (docs/protocol.md, "Enrolment").
 */
#pragma once

#include "cert_mgmt/cert_agent.h"

/** @brief Connected with the bootstrap identity: ask for a certificate. */
void enrollment_begin(cert_agent_t *agent, uint64_t now_ms);

/** @brief No answer yet: ask again, or give up and reconnect later. */
void enrollment_repeat(cert_agent_t *agent, uint64_t now_ms);

/** @brief A message below `bootstrap/<device id>/enroll/`. @param leaf  What follows it: "accepted" or "rejected" */
void enrollment_message(cert_agent_t *agent, const char *leaf, const uint8_t *payload, size_t len, uint64_t now_ms);
