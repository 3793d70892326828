/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "key_backend.h"

#include <mbedtls/platform_util.h>
#include <psa/crypto.h>
#include <string.h>

#include "mbedtls_compat.h"

#define P256_SCALAR_LEN 32
#define P256_POINT_LEN 65

/* ECPrivateKey of RFC 5915 for P-256 with named curve and public key: fixed bytes around the scalar and the point. */
static const uint8_t s_sec1_head[] = { 0x30, 0x77, 0x02, 0x01, 0x01, 0x04, P256_SCALAR_LEN };
static const uint8_t s_sec1_middle[] = {
    0xA0, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, /* [0] prime256v1 */
    0xA1, 0x44, 0x03, 0x42, 0x00,                                           /* [1] BIT STRING */
};

static cert_status_t export_p256(psa_key_id_t key, uint8_t *ref, size_t *ref_len)
{
    uint8_t *out = ref;
    size_t len;
    memcpy(out, s_sec1_head, sizeof(s_sec1_head));
    out += sizeof(s_sec1_head);
    if (psa_export_key(key, out, P256_SCALAR_LEN, &len) != PSA_SUCCESS || len != P256_SCALAR_LEN) {
        return CERT_ERR_INTERNAL;
    }
    out += P256_SCALAR_LEN;
    memcpy(out, s_sec1_middle, sizeof(s_sec1_middle));
    out += sizeof(s_sec1_middle);
    if (psa_export_public_key(key, out, P256_POINT_LEN, &len) != PSA_SUCCESS || len != P256_POINT_LEN) {
        return CERT_ERR_INTERNAL;
    }
    *ref_len = (size_t)(out - ref) + P256_POINT_LEN;
    return CERT_OK;
}

static cert_status_t export_rsa(psa_key_id_t key, uint8_t *ref, size_t *ref_len)
{
    return psa_export_key(key, ref, CERT_KEY_MAX, ref_len) == PSA_SUCCESS ? CERT_OK : CERT_ERR_INTERNAL;
}

static size_t rsa_bits(cert_key_type_t type)
{
    switch (type) {
    case CERT_KEY_RSA_2048:
        return 2048;
    case CERT_KEY_RSA_3072:
        return 3072;
    case CERT_KEY_RSA_4096:
        return 4096;
    default:
        return 0;
    }
}

static cert_status_t software_generate(cert_key_type_t type, uint8_t *ref, size_t *ref_len)
{
    bool is_ec = type == CERT_KEY_EC_P256;
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_EXPORT | PSA_KEY_USAGE_SIGN_HASH);
    if (is_ec) {
        psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
        psa_set_key_bits(&attributes, 256);
        psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    } else {
        psa_set_key_type(&attributes, PSA_KEY_TYPE_RSA_KEY_PAIR);
        psa_set_key_bits(&attributes, rsa_bits(type));
        psa_set_key_algorithm(&attributes, PSA_ALG_RSA_PKCS1V15_SIGN(PSA_ALG_SHA_256));
    }
    psa_key_id_t key;
    psa_status_t made = psa_generate_key(&attributes, &key);
    if (made != PSA_SUCCESS) {
        return made == PSA_ERROR_NOT_SUPPORTED ? CERT_ERR_UNSUPPORTED : CERT_ERR_INTERNAL;
    }
    cert_status_t status = is_ec ? export_p256(key, ref, ref_len) : export_rsa(key, ref, ref_len);
    if (psa_destroy_key(key) != PSA_SUCCESS) {
        status = CERT_ERR_INTERNAL;
    }
    if (status != CERT_OK) {
        mbedtls_platform_zeroize(ref, CERT_KEY_MAX);
    }
    return status;
}

static cert_status_t software_load(const uint8_t *ref, size_t ref_len, mbedtls_pk_context *pk)
{
    return compat_pk_parse_key(pk, ref, ref_len) == 0 ? CERT_OK : CERT_ERR_CORRUPT;
}

const key_backend_t key_backend_software = {
    .kind = CERT_KEY_KIND_SOFTWARE,
    .generate = software_generate,
    .load = software_load,
};

const key_backend_t *key_backend_find(cert_key_kind_t kind)
{
    return kind == CERT_KEY_KIND_SOFTWARE ? &key_backend_software : NULL;
}

cert_status_t key_backend_import(const char *pem, uint8_t *ref, size_t *ref_len)
{
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    int len = compat_pk_parse_key(&pk, (const unsigned char *)pem, strlen(pem) + 1);
    if (len == 0) {
        len = mbedtls_pk_write_key_der(&pk, ref, CERT_KEY_MAX);
    }
    mbedtls_pk_free(&pk);
    if (len <= 0) {
        return CERT_ERR_BAD_MESSAGE;
    }
    /* mbedTLS writes to the end of the buffer. */
    memmove(ref, ref + CERT_KEY_MAX - len, (size_t)len);
    mbedtls_platform_zeroize(ref + len, CERT_KEY_MAX - (size_t)len);
    *ref_len = (size_t)len;
    return CERT_OK;
}
