/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief An identity's way in: pending (a key waits for its certificate), staged (on trial), promoted or rolled back.
 *
 * These are the only functions that change the store while the agent runs. Each leaves it consistent at every write.
 */
#pragma once

#include "cert_mgmt/cert_agent.h"

/**
 * @brief Load the pending identity into agent->candidate.
 * @param request_id  The one it must belong to; NULL for any.
 * @return CERT_OK, CERT_ERR_NOT_FOUND (none, or another), CERT_ERR_UNSUPPORTED (it is there, but this firmware cannot
 *         use its key and never will: make another in its place), CERT_ERR_STORAGE …
 */
cert_status_t staging_load_pending(cert_agent_t *agent, cert_origin_t origin, const char *request_id);

/** @brief Which key a pending identity gets. */
typedef enum {
    STAGING_KEY_DEFAULT, /*!< A new one, unless new keys use up the chip: then the one made last */
    STAGING_KEY_NEW,     /*!< A new one in any case */
    STAGING_KEY_CURRENT, /*!< That of the identity in use */
} staging_key_t;

/**
 * @brief Make or take a key and store it as the pending identity, in agent->candidate and in the free slot.
 * @param type  Of a new key.
 * @return CERT_OK, CERT_ERR_BUSY (a trial is running), CERT_ERR_UNSUPPORTED, CERT_ERR_INTERNAL, CERT_ERR_STORAGE,
 *         CERT_ERR_STORAGE_FULL
 */
cert_status_t staging_make_pending(cert_agent_t *agent, cert_origin_t origin, const char *request_id,
                                   staging_key_t which, cert_key_type_t type);

/** @brief Forget the pending identity. */
void staging_drop_pending(cert_agent_t *agent);

/**
 * @brief Write the request of the pending identity in agent->candidate as PEM to agent->out, from where the message
 * writers may take it: they copy what goes into a message before they write it.
 * @return CERT_OK, CERT_ERR_UNSUPPORTED (the key cannot be used, or counted as corrupt several times in a row: once may
 *         be for want of memory), CERT_ERR_CORRUPT, CERT_ERR_INTERNAL …
 */
cert_status_t staging_write_csr(cert_agent_t *agent);

/**
 * @brief Put leaf and issuing CAs into agent->candidate's chain.
 * @return CERT_OK, CERT_ERR_BAD_MESSAGE (larger than CERT_CHAIN_PEM_MAX)
 */
cert_status_t staging_set_chain(cert_agent_t *agent, const char *certificate, const char *chain, const char **why);

/**
 * @brief Pass agent->candidate through the gate (cert_check.h) against this device, its anchors, clock and current
 *        certificate.
 */
cert_status_t staging_check(cert_agent_t *agent, cert_summary_t *summary, const char **why);

/**
 * @brief Store agent->candidate, which has passed the gate, and put it on trial. Afterwards agent->candidate is wiped.
 * @return CERT_OK, CERT_ERR_BUSY, CERT_ERR_STORAGE, CERT_ERR_STORAGE_FULL (nothing has changed)
 */
cert_status_t staging_stage(cert_agent_t *agent);

/**
 * @brief The trial is proven: it becomes the operational identity and the old slot is freed. CERT_OK or the store's
 * error.
 */
cert_status_t staging_promote(cert_agent_t *agent);

/**
 * @brief The trial has failed: forget it and go back to what was before. The commit record remembers what to tell the
 * cloud, also after a loss of power, until staging_forget_rolled_back().
 * @param code  Why, for the cloud.
 */
void staging_roll_back(cert_agent_t *agent, cert_status_t code, const char *why);

/** @brief The cloud knows of the trial that was rolled back. */
void staging_forget_rolled_back(cert_agent_t *agent);
