/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief RSA keys sealed for the chip, which alone can sign with them (Espressif: Digital Signature peripheral).
 *
 * A key is made in RAM, sealed with a key of the chip that from then on only the hardware can use, and wiped. Sealing
 * another one takes another key of the chip, of which there are few: see cert_key_backend_t.recall.
 *
 * The reference of a key: format (1 byte, 1), 0, bits and length of the public key (2 bytes each, little-endian), the
 * public key (SubjectPublicKeyInfo, DER), the sealed key as the chip has made it. Nothing in it is secret.
 */
#pragma once

#include "cert_mgmt/cert_key_backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/** 32-bit words of an RSA-4096 number. */
#define CERT_RSA_WORDS_MAX 128

/** @brief An RSA private key as a modular exponentiation in hardware wants it: words, least significant first. */
typedef struct {
    size_t words;                       /*!< Of each number */
    uint32_t modulus[CERT_RSA_WORDS_MAX];
    uint32_t exponent[CERT_RSA_WORDS_MAX];
    uint32_t r_squared[CERT_RSA_WORDS_MAX]; /*!< 2^(64 * words) mod modulus */
    uint32_t m_prime;                   /*!< -(modulus^-1) mod 2^32 */
} cert_rsa_operands_t;

/** @brief The chip. */
typedef struct {
    void *ctx;       /*!< Handed to the functions unchanged */
    size_t max_bits; /*!< Longest RSA key */

    /** @brief May another key be made? @return CERT_OK, CERT_ERR_UNSUPPORTED (no: none is left, or not allowed) */
    cert_status_t (*may_seal)(void *ctx);

    /**
     * @brief Encrypt a key for the next free key of the chip, which is made but not yet in it.
     * @param[out] sealed  What sign() needs; at most CERT_KEY_MAX - CERT_PUBLIC_KEY_MAX - 6 bytes.
     * @return CERT_OK, CERT_ERR_INTERNAL
     */
    cert_status_t (*seal)(void *ctx, const cert_rsa_operands_t *key, uint8_t *sealed, size_t *sealed_len);

    /**
     * @brief Store the reference of the key just sealed, then put its key into the chip for good. In this order a loss
     * of power wastes no key of the chip.
     * @return CERT_OK, CERT_ERR_STORAGE, CERT_ERR_STORAGE_FULL, CERT_ERR_INTERNAL
     */
    cert_status_t (*commit)(void *ctx, const uint8_t *ref, size_t ref_len);

    /** @brief As cert_key_backend_t.recall: the reference last committed, if the chip still has its key. */
    cert_status_t (*recall)(void *ctx, uint8_t *ref, size_t *ref_len);

    /**
     * @brief message^exponent mod modulus, all of `words` words.
     * @return CERT_OK, CERT_ERR_CORRUPT (not sealed for this chip), CERT_ERR_INTERNAL
     */
    cert_status_t (*sign)(void *ctx, const uint8_t *sealed, size_t sealed_len, const uint32_t *message, size_t words,
                          uint32_t *signature);
} cert_key_ds_chip_t;

/** @brief The parts of a reference; they point into it. */
typedef struct {
    size_t bits;
    const uint8_t *spki;
    size_t spki_len;
    const uint8_t *sealed;
    size_t sealed_len;
} cert_key_ds_ref_t;

/** @brief The backend for a chip, which has to stay there as long as the backend is used. */
cert_key_backend_t cert_key_ds_backend(const cert_key_ds_chip_t *chip);

/** @brief Take a reference apart, for a TLS stack that signs with the chip itself. CERT_OK or CERT_ERR_CORRUPT. */
cert_status_t cert_key_ds_parse(const uint8_t *ref, size_t ref_len, cert_key_ds_ref_t *parts);

#ifdef __cplusplus
}
#endif
