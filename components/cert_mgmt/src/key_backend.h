/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The software key backend, and which backend a stored key belongs to.
 */
#pragma once

#include <mbedtls/pk.h>
#include <psa/crypto.h>

#include "cert_mgmt/cert_key_backend.h"

/** @brief Keys made by PSA Crypto; the reference is the private key itself, SEC1 (EC) or PKCS#1 (RSA) in DER. */
extern const cert_key_backend_t key_backend_software;

/**
 * @brief The backend for a stored key kind.
 * @param own  The one this device makes its keys with; NULL for the software backend.
 * @return `own`, the software backend (pushed keys are always its), or NULL: this build cannot use the key.
 */
const cert_key_backend_t *key_backend_find(const cert_key_backend_t *own, cert_key_kind_t kind);

/** @brief "software", "hmac" or "ds"; "unknown" for a kind that another firmware has stored. */
const char *key_kind_name(cert_key_kind_t kind);

/**
 * @brief Turn a private key in PEM (PKCS#8, SEC1 or PKCS#1) into a reference of the software backend.
 * @param[out] ref  CERT_KEY_MAX bytes of room.
 * @return CERT_OK, CERT_ERR_BAD_MESSAGE (not a private key that can be read, or larger than a reference)
 */
cert_status_t key_backend_import(const char *pem, uint8_t *ref, size_t *ref_len);

/**
 * @brief Make a software key usable from its reference.
 * @param pk  Initialised, empty; mbedtls_pk_free() afterwards, which wipes it.
 * @return CERT_OK, CERT_ERR_CORRUPT (not a reference of the software backend)
 */
cert_status_t key_software_load(const uint8_t *ref, size_t ref_len, mbedtls_pk_context *pk);

/**
 * @brief Write the reference of an EC P-256 key that PSA Crypto holds and may export.
 * @return CERT_OK, CERT_ERR_INTERNAL
 */
cert_status_t key_software_export_p256(psa_key_id_t key, uint8_t *ref, size_t *ref_len);
