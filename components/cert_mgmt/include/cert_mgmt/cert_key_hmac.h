/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Keys derived from one that never leaves the chip: EC P-256, a new salt is a new key.
 *
 * The private key d belonging to a salt is the first of
 *
 *     HMAC-SHA256(chip key, "cert_mgmt:ec-p256" || salt || counter),  counter = 0, 1, 2 …
 *
 * that, as a big-endian number, is in [1, n-1], n the order of the curve (FIPS 186-5, A.2.2: rejection sampling). The
 * label has no NUL, the salt 32 bytes, the counter one. The reference of a key is its salt, which is no secret.
 */
#pragma once

#include "cert_mgmt/cert_key_backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Length of a salt, and so of a key reference. */
#define CERT_KEY_HMAC_SALT_LEN 32

/** Length of a private key with its public key as SEC1 (RFC 5915) DER. */
#define CERT_KEY_HMAC_DER_LEN 121

/** @brief The chip: computes HMAC-SHA256 with a key that software cannot read. */
typedef struct {
    void *ctx; /*!< Handed to the functions unchanged */

    /**
     * @brief See to it that there is a key; called before a new salt is made.
     * @return CERT_OK, CERT_ERR_UNSUPPORTED (there is none, and none may be made)
     */
    cert_status_t (*provide)(void *ctx);

    /** @brief HMAC-SHA256 of a message. @return CERT_OK, CERT_ERR_INTERNAL */
    cert_status_t (*hmac)(void *ctx, const uint8_t *message, size_t len, uint8_t mac[CERT_HASH_LEN]);
} cert_key_hmac_chip_t;

/** @brief The backend for a chip, which has to stay there as long as the backend is used. */
cert_key_backend_t cert_key_hmac_backend(const cert_key_hmac_chip_t *chip);

/**
 * @brief Derive the private key of a reference, for a TLS stack that wants the key itself. Wipe it after use.
 * @param[out] der  SEC1 DER, CERT_KEY_HMAC_DER_LEN bytes.
 * @return CERT_OK, CERT_ERR_CORRUPT (not a reference of this backend), CERT_ERR_INTERNAL
 */
cert_status_t cert_key_hmac_derive(const cert_key_hmac_chip_t *chip, const uint8_t *ref, size_t ref_len, uint8_t *der);

#ifdef __cplusplus
}
#endif
