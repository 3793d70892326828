/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief What the files of the agent share: talking through the port, and the timing of it.
 */
#pragma once

#include "cert_mgmt/cert_agent.h"

/** First delay before a request without answer is repeated; doubles up to REQUEST_REPEAT_MAX_MS. */
#define REQUEST_REPEAT_MIN_MS 15000
#define REQUEST_REPEAT_MAX_MS 600000

/** Repeats after which a request is given up. */
#define REQUEST_REPEATS_MAX 5

/** @brief Report one line; printf-like. Longer than CERT_LOG_LINE_MAX it is cut. */
void agent_log(const cert_agent_t *agent, cert_log_level_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** @brief "bootstrap", "operational" or "trial". */
const char *agent_identity_name(cert_identity_kind_t kind);

/** @brief Subscribe to `<tree>/<device id>/<leaf>`. */
void agent_subscribe(const cert_agent_t *agent, const char *tree, const char *leaf);

/**
 * @brief Publish the message in agent->out to `<tree>/<device id>/<leaf>`; a failure is logged, what matters is
 * repeated.
 * @return whether it is on its way
 */
bool agent_publish(const cert_agent_t *agent, const char *tree, const char *leaf);

/** @brief End the connection and open the next one after `delay_ms`. */
void agent_reconnect(cert_agent_t *agent, uint64_t now_ms, uint32_t delay_ms);

/**
 * @brief Count a failure and return the delay it asks for: exponential, capped, with jitter between half and all of it.
 */
uint32_t agent_next_backoff(cert_agent_t *agent);

/** @brief A request is out: have it repeated if no answer comes. `repeats` is reset. */
void agent_expect_answer(cert_agent_t *agent);

/** @brief The answer has come, or is not waited for any more. */
void agent_expect_nothing(cert_agent_t *agent);

/** @brief Write `bytes` random bytes as lower-case hex and a NUL to `out`. At most 16 bytes. */
void agent_random_hex(const cert_agent_t *agent, char *out, size_t bytes);
