/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Where private keys come from and how they are used: one backend for each way a device can keep a key.
 *
 * The core handles key references only. What a reference is, its backend alone knows.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cert_mgmt/cert_identity.h"
#include "cert_mgmt/cert_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Length of what is signed: a SHA-256 hash. */
#define CERT_HASH_LEN 32

/** Longest signature: RSA-4096. */
#define CERT_SIGNATURE_MAX 512

/** Longest public key as SubjectPublicKeyInfo in DER: RSA-4096. */
#define CERT_PUBLIC_KEY_MAX 560

/** @brief One way of keeping private keys. */
typedef struct {
    cert_key_kind_t kind; /*!< Of the references it makes */
    void *ctx;            /*!< Handed to every function unchanged */

    /**
     * @brief Make a new private key.
     * @param[out] ref      Its reference, CERT_KEY_MAX bytes of room.
     * @param[out] ref_len  Bytes used.
     * @return CERT_OK, CERT_ERR_UNSUPPORTED (not this type, or no more keys, on this device), CERT_ERR_STORAGE,
     *         CERT_ERR_INTERNAL
     */
    cert_status_t (*generate)(void *ctx, cert_key_type_t type, uint8_t *ref, size_t *ref_len);

    /**
     * @brief The key made last. Set only where a key uses up a part of the chip for good: enrolment and renewal by the
     * device itself then take this one, and only an order to rotate makes another. NULL where keys cost nothing.
     * @return CERT_OK, CERT_ERR_NOT_FOUND (none was made yet, or it cannot be used any more), CERT_ERR_STORAGE
     */
    cert_status_t (*recall)(void *ctx, uint8_t *ref, size_t *ref_len);

    /**
     * @brief The public half.
     * @param[out] spki      SubjectPublicKeyInfo in DER, CERT_PUBLIC_KEY_MAX bytes of room.
     * @param[out] spki_len  Bytes used.
     * @return CERT_OK, CERT_ERR_CORRUPT (not a reference of this backend; in software also for want of memory),
     *         CERT_ERR_BAD_MESSAGE (it cannot be written as SubjectPublicKeyInfo), CERT_ERR_INTERNAL
     */
    cert_status_t (*public_key)(void *ctx, const uint8_t *ref, size_t ref_len, uint8_t *spki, size_t *spki_len);

    /**
     * @brief Sign: ECDSA (DER), or RSASSA-PKCS1-v1_5 with SHA-256.
     * @param hash           CERT_HASH_LEN bytes.
     * @param[out] signature CERT_SIGNATURE_MAX bytes of room.
     * @return CERT_OK, CERT_ERR_CORRUPT (not a reference of this backend), CERT_ERR_INTERNAL
     */
    cert_status_t (*sign)(void *ctx, const uint8_t *ref, size_t ref_len, const uint8_t *hash, uint8_t *signature,
                          size_t *signature_len);
} cert_key_backend_t;

#ifdef __cplusplus
}
#endif
