/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "key_backend.h"

#include <mbedtls/platform_util.h>
#include <psa/crypto.h>
#include <string.h>

#include "mbedtls_compat.h"

#define STACK_USED 2048 /* by mbedTLS for a signature, at least as far as the frame in question */

#define P256_SCALAR_LEN 32
#define P256_POINT_LEN 65

/* ECPrivateKey of RFC 5915 for P-256 with named curve and public key: fixed bytes around the scalar and the point. */
static const uint8_t s_sec1_head[] = { 0x30, 0x77, 0x02, 0x01, 0x01, 0x04, P256_SCALAR_LEN };
static const uint8_t s_sec1_middle[] = {
    0xA0, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, /* [0] prime256v1 */
    0xA1, 0x44, 0x03, 0x42, 0x00,                                           /* [1] BIT STRING */
};

cert_status_t key_software_export_p256(psa_key_id_t key, uint8_t *ref, size_t *ref_len)
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

static cert_status_t generate(void *ctx, cert_key_type_t type, uint8_t *ref, size_t *ref_len)
{
    (void)ctx;
    static const uint16_t bits[] = {
        [CERT_KEY_EC_P256] = 256,
        [CERT_KEY_RSA_2048] = 2048,
        [CERT_KEY_RSA_3072] = 3072,
        [CERT_KEY_RSA_4096] = 4096,
    };
    bool is_ec = type == CERT_KEY_EC_P256;
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_EXPORT);
    psa_set_key_type(&attributes,
                     is_ec ? PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1) : PSA_KEY_TYPE_RSA_KEY_PAIR);
    psa_set_key_bits(&attributes, bits[type]);
    psa_key_id_t key;
    psa_status_t made = psa_generate_key(&attributes, &key);
    if (made != PSA_SUCCESS) {
        return made == PSA_ERROR_NOT_SUPPORTED ? CERT_ERR_UNSUPPORTED : CERT_ERR_INTERNAL;
    }
    cert_status_t status = is_ec ? key_software_export_p256(key, ref, ref_len) : export_rsa(key, ref, ref_len);
    if (psa_destroy_key(key) != PSA_SUCCESS) {
        status = CERT_ERR_INTERNAL;
    }
    if (status != CERT_OK) {
        mbedtls_platform_zeroize(ref, CERT_KEY_MAX);
    }
    return status;
}

cert_status_t key_software_load(const uint8_t *ref, size_t ref_len, mbedtls_pk_context *pk)
{
    return compat_pk_parse_key(pk, ref, ref_len) == 0 ? CERT_OK : CERT_ERR_CORRUPT;
}

/* mbedTLS writes to the end of a buffer: move the `len` bytes to its beginning. */
static cert_status_t take_written(int len, uint8_t *buf, size_t size, size_t *out_len)
{
    if (len <= 0) {
        return CERT_ERR_BAD_MESSAGE;
    }
    *out_len = (size_t)len;
    memmove(buf, buf + size - *out_len, *out_len);
    return CERT_OK;
}

static cert_status_t public_key(void *ctx, const uint8_t *ref, size_t ref_len, uint8_t *spki, size_t *spki_len)
{
    (void)ctx;
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    cert_status_t status = key_software_load(ref, ref_len, &pk);
    if (status == CERT_OK) {
        int len = mbedtls_pk_write_pubkey_der(&pk, spki, CERT_PUBLIC_KEY_MAX);
        status = take_written(len, spki, CERT_PUBLIC_KEY_MAX, spki_len);
    }
    mbedtls_pk_free(&pk);
    return status;
}

/*
 * mbedTLS makes ECDSA signatures after RFC 6979 and leaves the private scalar in the stack frame it did that in. This
 * one is in the same place.
 */
__attribute__((noinline)) static void wipe_stack(void)
{
    uint8_t frame[STACK_USED];
    mbedtls_platform_zeroize(frame, sizeof(frame));
}

static cert_status_t sign(void *ctx, const uint8_t *ref, size_t ref_len, const uint8_t *hash, uint8_t *signature,
                          size_t *signature_len)
{
    (void)ctx;
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    cert_status_t status = key_software_load(ref, ref_len, &pk);
    if (status == CERT_OK && (mbedtls_pk_get_bitlen(&pk) > 8 * CERT_SIGNATURE_MAX ||
                              compat_pk_sign(&pk, hash, CERT_HASH_LEN, signature, CERT_SIGNATURE_MAX, signature_len))) {
        status = CERT_ERR_INTERNAL;
    }
    wipe_stack();
    mbedtls_pk_free(&pk);
    return status;
}

const cert_key_backend_t key_backend_software = {
    .kind = CERT_KEY_KIND_SOFTWARE,
    .generate = generate,
    .public_key = public_key,
    .sign = sign,
};

const cert_key_backend_t *key_backend_find(const cert_key_backend_t *own, cert_key_kind_t kind)
{
    if (own != NULL && own->kind == kind) {
        return own;
    }
    return kind == CERT_KEY_KIND_SOFTWARE ? &key_backend_software : NULL;
}

const char *key_kind_name(cert_key_kind_t kind)
{
    static const char *const names[] = {
        [CERT_KEY_KIND_SOFTWARE] = "software",
        [CERT_KEY_KIND_HMAC] = "hmac",
        [CERT_KEY_KIND_DS] = "ds",
    };
    return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown"; /* as stored by another firmware */
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
    cert_status_t status = take_written(len, ref, CERT_KEY_MAX, ref_len);
    if (status == CERT_OK) {
        mbedtls_platform_zeroize(ref + *ref_len, CERT_KEY_MAX - *ref_len);
    }
    return status;
}
