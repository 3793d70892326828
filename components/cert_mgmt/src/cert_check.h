/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Is this credential acceptable? The gate before anything is staged.
 */
#pragma once

#include <mbedtls/x509_crt.h>
#include <stdbool.h>

#include "cert_mgmt/cert_key_backend.h"

/** @brief What a credential is measured against. */
typedef struct {
    const char *device_id;
    const char *anchors_pem;
    const cert_key_backend_t *key_backend; /*!< The device's own; NULL: software */
    const cert_summary_t *current; /*!< Certificate in use; NULL when there is none to be newer than */
    int64_t now;                   /*!< Seconds since 1970 */
    bool now_is_known;             /*!< false: `now` is only a time that is surely past (the time floor) */
} cert_check_rules_t;

/** @brief Write a certificate's id and a NUL: CERT_ID_LEN + 1 bytes. */
void cert_check_id(const mbedtls_x509_crt *crt, char *id);

/** @brief RSA of 2048 bits or more, or EC on a NIST curve from P-256. */
bool cert_check_is_strong(const mbedtls_pk_context *pk);

/**
 * @brief Read the leaf of a chain.
 * @return CERT_OK, CERT_ERR_BAD_MESSAGE (not a PEM certificate chain)
 */
cert_status_t cert_check_summarize(const char *chain_pem, cert_summary_t *summary);

/**
 * @brief Decide whether a candidate's chain and key may become an identity. Changes nothing.
 *
 * In this order: well-formed, subject is this device, key strength, chain verifies to an anchor with clientAuth, key
 * matches, dates, newer than the current certificate. So the code names the first thing that is wrong.
 *
 * @param[out] summary  The leaf, when CERT_OK.
 * @param[out] why      A string constant that says what is wrong, otherwise.
 * @return CERT_OK, CERT_ERR_BAD_MESSAGE, CERT_ERR_WRONG_SUBJECT, CERT_ERR_WEAK_KEY, CERT_ERR_UNTRUSTED,
 *         CERT_ERR_KEY_MISMATCH, CERT_ERR_EXPIRED, CERT_ERR_NOT_YET_VALID, CERT_ERR_STALE, CERT_ERR_INTERNAL (anchors
 * unreadable)
 */
cert_status_t cert_check_candidate(const cert_check_rules_t *rules, const cert_identity_t *candidate,
                                   cert_summary_t *summary, const char **why);
