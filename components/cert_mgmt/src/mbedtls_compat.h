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

#include <mbedtls/asn1write.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>
#include <psa/crypto.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

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

/** Returns 0 if `pub` is the public key of `prv`. Pass a key parsed from a certificate or request as `pub`. */
static inline int compat_pk_check_pair(const mbedtls_pk_context *pub, const mbedtls_pk_context *prv)
{
    return mbedtls_pk_check_pair(pub, prv COMPAT_RNG_ARGS_V3);
}

#if MBEDTLS_VERSION_NUMBER < 0x03000000
/**
 * mbedTLS 2.28 gives ecdsa-with-SHA256 the parameters NULL, where RFC 5758 section 3.2 wants none and strict parsers
 * insist. They stand in the outer signatureAlgorithm, which is not signed: take them out. The request lies at the end
 * of `buf`, `len` bytes.
 */
static inline int compat_csr_drop_ecdsa_parameters(unsigned char *buf, size_t size, int len)
{
    unsigned char *end = buf + size;
    unsigned char *p = end - len;
    size_t outer_len;
    size_t part_len;
    const int sequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
    if (mbedtls_asn1_get_tag(&p, end, &outer_len, sequence) != 0) {
        return MBEDTLS_ERR_X509_INVALID_FORMAT;
    }
    unsigned char *content = p;
    if (mbedtls_asn1_get_tag(&p, end, &part_len, sequence) != 0) {
        return MBEDTLS_ERR_X509_INVALID_FORMAT;
    }
    p += part_len; /* CertificationRequestInfo; the AlgorithmIdentifier follows, always in short form */
    unsigned char *parameters = p + p[1];
    if (p[3] != sizeof(MBEDTLS_OID_ECDSA_SHA256) - 1 || memcmp(p + 4, MBEDTLS_OID_ECDSA_SHA256, p[3]) != 0 ||
            memcmp(parameters, "\x05", 2) != 0) {
        return len;
    }
    p[1] = (unsigned char)(p[1] - 2);
    memmove(content + 2, content, (size_t)(parameters - content));
    p = content + 2;
    if (mbedtls_asn1_write_len(&p, buf, outer_len - 2) < 0 ||
        mbedtls_asn1_write_tag(&p, buf, (unsigned char)sequence) < 0) {
        return MBEDTLS_ERR_X509_INVALID_FORMAT;
    }
    return (int)(end - p);
}
#endif

/** Write a certification request in DER to the END of `buf`. Returns its length or an mbedTLS error. */
static inline int compat_csr_write_der(mbedtls_x509write_csr *request, unsigned char *buf, size_t size)
{
    int len = mbedtls_x509write_csr_der(request, buf, size COMPAT_RNG_ARGS);
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    return len < 0 ? len : compat_csr_drop_ecdsa_parameters(buf, size, len);
#else
    return len;
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
