/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Where private keys come from and how they are taken up again.
 *
 * One backend for each way a chip can keep a key. The rest of the core handles key references only.
 */
#pragma once

#include <mbedtls/pk.h>

#include "cert_mgmt/cert_identity.h"

/** @brief One way of keeping private keys. */
typedef struct {
    cert_key_kind_t kind;

    /**
     * @brief Make a new private key.
     * @param[out] ref      Its reference, CERT_KEY_MAX bytes of room.
     * @param[out] ref_len  Bytes used.
     * @return CERT_OK, CERT_ERR_UNSUPPORTED (type not available), CERT_ERR_INTERNAL
     */
    cert_status_t (*generate)(cert_key_type_t type, uint8_t *ref, size_t *ref_len);

    /**
     * @brief Make a key usable from its reference.
     * @param pk  Initialised, empty; mbedtls_pk_free() afterwards, which wipes it.
     * @return CERT_OK, CERT_ERR_CORRUPT (not a reference of this backend)
     */
    cert_status_t (*load)(const uint8_t *ref, size_t ref_len, mbedtls_pk_context *pk);
} key_backend_t;

/** @brief Keys made by PSA Crypto; the reference is the private key itself, SEC1 (EC) or PKCS#1 (RSA) in DER. */
extern const key_backend_t key_backend_software;

/** @brief The backend for a stored key kind; NULL for one this build does not know. */
const key_backend_t *key_backend_find(cert_key_kind_t kind);

/**
 * @brief Turn a private key in PEM (PKCS#8, SEC1 or PKCS#1) into a reference of the software backend.
 * @param[out] ref  CERT_KEY_MAX bytes of room.
 * @return CERT_OK, CERT_ERR_BAD_MESSAGE (not a private key that can be read, or larger than a reference)
 */
cert_status_t key_backend_import(const char *pem, uint8_t *ref, size_t *ref_len);
