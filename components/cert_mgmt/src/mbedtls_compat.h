/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief mbedTLS 2.28, 3.6 and 4.x under one set of names: the only place that knows the version.
 *
 * The three differ for us in who passes a random generator (2.28 and 3.6 mostly do, 4.x never does), in buffer sizes
 * passed along, and in how a parsed key tells its type. Everything else is written against what they share.
 */
#pragma once

#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>
#include <stdbool.h>
#include <stddef.h>

#if MBEDTLS_VERSION_NUMBER < 0x04000000
/** Random generator in the shape mbedTLS before 4.0 asks for, fed by PSA Crypto. */
static inline int compat_psa_rng(void *ctx, unsigned char *out, size_t len)
{
    (void)ctx;
    return psa_generate_random(out, len) == PSA_SUCCESS ? 0 : -1;
}
#define COMPAT_RNG_ARGS , compat_psa_rng, NULL
#else
#define COMPAT_RNG_ARGS
#endif

#if MBEDTLS_VERSION_NUMBER >= 0x03000000 && MBEDTLS_VERSION_NUMBER < 0x04000000
#define COMPAT_RNG_ARGS_V3 , compat_psa_rng, NULL
#else
#define COMPAT_RNG_ARGS_V3
#endif

/** Parse a private key, DER, or PEM with `len` counting the NUL. Returns 0 or an mbedTLS error. */
static inline int compat_pk_parse_key(mbedtls_pk_context *pk, const unsigned char *key, size_t len)
{
    return mbedtls_pk_parse_key(pk, key, len, NULL, 0 COMPAT_RNG_ARGS_V3);
}

/** Sign a SHA-256 hash. Returns 0 or an mbedTLS error. */
static inline int compat_pk_sign(mbedtls_pk_context *pk, const unsigned char *hash, size_t hash_len,
                                 unsigned char *signature, size_t signature_size, size_t *signature_len)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_sign(pk, MBEDTLS_MD_SHA256, hash, hash_len, signature, signature_size,
                           signature_len COMPAT_RNG_ARGS);
#else
    (void)signature_size;
    return mbedtls_pk_sign(pk, MBEDTLS_MD_SHA256, hash, hash_len, signature, signature_len COMPAT_RNG_ARGS);
#endif
}

/** What kind of public key this is: bits, and whether it is RSA or on a NIST prime curve (neither: both false). */
static inline void compat_pk_describe(const mbedtls_pk_context *pk, bool *is_rsa, bool *is_nist_ec, size_t *bits)
{
    *is_rsa = false;
    *is_nist_ec = false;
    *bits = mbedtls_pk_get_bitlen(pk);
#if MBEDTLS_VERSION_NUMBER >= 0x03060000
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    if (mbedtls_pk_get_psa_attributes(pk, PSA_KEY_USAGE_VERIFY_HASH, &attributes) != 0) {
        return;
    }
    psa_key_type_t type = psa_get_key_type(&attributes);
    *is_rsa = PSA_KEY_TYPE_IS_RSA(type);
    *is_nist_ec = PSA_KEY_TYPE_IS_ECC(type) && PSA_KEY_TYPE_ECC_GET_FAMILY(type) == PSA_ECC_FAMILY_SECP_R1;
    psa_reset_key_attributes(&attributes);
#else
    *is_rsa = mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA;
    if (mbedtls_pk_get_type(pk) == MBEDTLS_PK_ECKEY) {
        mbedtls_ecp_group_id curve = mbedtls_pk_ec(*pk)->grp.id;
        *is_nist_ec = curve == MBEDTLS_ECP_DP_SECP256R1 || curve == MBEDTLS_ECP_DP_SECP384R1 ||
                      curve == MBEDTLS_ECP_DP_SECP521R1;
    }
#endif
}

/** Whether basicConstraints say that this is a CA. */
static inline bool compat_crt_is_ca(const mbedtls_x509_crt *crt)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03050000
    return mbedtls_x509_crt_get_ca_istrue(crt) == 1;
#else
    return crt->ca_istrue != 0;
#endif
}
