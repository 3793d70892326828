/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cert_mgmt/cert_key_hmac.h"

#include <mbedtls/platform_util.h>
#include <psa/crypto.h>
#include <stdbool.h>
#include <string.h>

#include "../key_backend.h"

#define LABEL "cert_mgmt:ec-p256"
#define LABEL_LEN (sizeof(LABEL) - 1)
#define SCALAR_LEN CERT_HASH_LEN

/* One in 2^32 candidates is out of range: a chip that fails so often does not compute HMACs. */
#define COUNTER_MAX 16

/* The order of P-256, n (SEC 2, 2.4.2) */
static const uint8_t s_order[SCALAR_LEN] = {
    0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
};

/* 0 < scalar < n, in a time that does not depend on the scalar. */
static bool is_private_key(const uint8_t *scalar)
{
    unsigned bits = 0;
    unsigned borrow = 0;
    for (size_t i = SCALAR_LEN; i-- > 0;) {
        bits |= scalar[i];
        borrow = ((unsigned)scalar[i] - s_order[i] - borrow) >> 31;
    }
    return bits != 0 && borrow == 1;
}

static cert_status_t derive_scalar(const cert_key_hmac_chip_t *chip, const uint8_t *salt, uint8_t *scalar)
{
    uint8_t message[LABEL_LEN + CERT_KEY_HMAC_SALT_LEN + 1];
    memcpy(message, LABEL, LABEL_LEN);
    memcpy(message + LABEL_LEN, salt, CERT_KEY_HMAC_SALT_LEN);
    for (uint8_t counter = 0; counter < COUNTER_MAX; counter++) {
        message[LABEL_LEN + CERT_KEY_HMAC_SALT_LEN] = counter;
        cert_status_t status = chip->hmac(chip->ctx, message, sizeof(message), scalar);
        if (status != CERT_OK || is_private_key(scalar)) {
            return status;
        }
    }
    return CERT_ERR_INTERNAL;
}

/* The private key with its public one, which PSA Crypto computes. */
static cert_status_t complete(const uint8_t *scalar, uint8_t *der)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_EXPORT);
    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_key_id_t key;
    if (psa_import_key(&attributes, scalar, SCALAR_LEN, &key) != PSA_SUCCESS) {
        return CERT_ERR_INTERNAL;
    }
    size_t len;
    cert_status_t status = key_software_export_p256(key, der, &len);
    return psa_destroy_key(key) == PSA_SUCCESS ? status : CERT_ERR_INTERNAL;
}

cert_status_t cert_key_hmac_derive(const cert_key_hmac_chip_t *chip, const uint8_t *ref, size_t ref_len, uint8_t *der)
{
    if (ref_len != CERT_KEY_HMAC_SALT_LEN) {
        return CERT_ERR_CORRUPT;
    }
    uint8_t scalar[SCALAR_LEN];
    cert_status_t status = derive_scalar(chip, ref, scalar);
    if (status == CERT_OK) {
        status = complete(scalar, der);
    }
    mbedtls_platform_zeroize(scalar, sizeof(scalar));
    if (status != CERT_OK) {
        mbedtls_platform_zeroize(der, CERT_KEY_HMAC_DER_LEN);
    }
    return status;
}

static cert_status_t generate(void *ctx, cert_key_type_t type, uint8_t *ref, size_t *ref_len)
{
    const cert_key_hmac_chip_t *chip = ctx;
    if (type != CERT_KEY_EC_P256) {
        return CERT_ERR_UNSUPPORTED;
    }
    cert_status_t status = chip->provide(chip->ctx);
    if (status != CERT_OK) {
        return status;
    }
    *ref_len = CERT_KEY_HMAC_SALT_LEN;
    return psa_generate_random(ref, CERT_KEY_HMAC_SALT_LEN) == PSA_SUCCESS ? CERT_OK : CERT_ERR_INTERNAL;
}

static cert_status_t public_key(void *ctx, const uint8_t *ref, size_t ref_len, uint8_t *spki, size_t *spki_len)
{
    uint8_t der[CERT_KEY_HMAC_DER_LEN];
    cert_status_t status = cert_key_hmac_derive(ctx, ref, ref_len, der);
    if (status == CERT_OK) {
        status = key_backend_software.public_key(NULL, der, sizeof(der), spki, spki_len);
    }
    mbedtls_platform_zeroize(der, sizeof(der));
    return status;
}

static cert_status_t sign(void *ctx, const uint8_t *ref, size_t ref_len, const uint8_t *hash, uint8_t *signature,
                          size_t *signature_len)
{
    uint8_t der[CERT_KEY_HMAC_DER_LEN];
    cert_status_t status = cert_key_hmac_derive(ctx, ref, ref_len, der);
    if (status == CERT_OK) {
        status = key_backend_software.sign(NULL, der, sizeof(der), hash, signature, signature_len);
    }
    mbedtls_platform_zeroize(der, sizeof(der));
    return status;
}

cert_key_backend_t cert_key_hmac_backend(const cert_key_hmac_chip_t *chip)
{
    return (cert_key_backend_t) {
        .kind = CERT_KEY_KIND_HMAC,
        .ctx = (void *)chip,
        .generate = generate,
        .public_key = public_key,
        .sign = sign,
    };
}
