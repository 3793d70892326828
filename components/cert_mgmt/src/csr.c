/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "csr.h"

#include <mbedtls/asn1write.h>
#include <mbedtls/pem.h>
#include <psa/crypto.h>
#include <stdbool.h>
#include <string.h>

#include "cert_mgmt/cert_limits.h"

#define INFO_MAX (CERT_PUBLIC_KEY_MAX + CERT_DEVICE_ID_MAX + 40)
#define REQUEST_MAX (INFO_MAX + CERT_SIGNATURE_MAX + 40)

/* An RSA key of 2048 bits takes 294 bytes, an EC key 158 at most (P-521). */
#define EC_PUBLIC_KEY_MAX 160

/* A length takes four bytes at most, as long as what it counts is shorter than 16 MB. */
#define LENGTH_MAX 4

#define SEQUENCE (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)

/* The empty attributes, [0], of CertificationRequestInfo */
#define NO_ATTRIBUTES (MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED)

/* Version, and the subject up to its common name, whose length is to be added to four of the bytes. */
static const uint8_t s_head[] = { 0x02, 0x01, 0x00, 0x30, 11, 0x31, 9, 0x30, 7, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0C, 0 };
static const uint8_t s_head_lengths[] = { 4, 6, 8, 15 };

/* AlgorithmIdentifier: ecdsa-with-SHA256 without parameters (RFC 5758, 3.2), sha256WithRSAEncryption with NULL. */
static const uint8_t s_ecdsa[] = { 0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02 };
static const uint8_t s_rsa[] = { 0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B, 0x05,
                                 0x00 };

/* DER is written from the end of a buffer to its front: `p` moves down. The buffers hold the longest of everything. */
static void put(uint8_t **p, const void *data, size_t len)
{
    *p -= len;
    memcpy(*p, data, len);
}

/* Tag and length of what lies between `*p` and `end`. */
static void wrap(uint8_t **p, uint8_t tag, const uint8_t *end)
{
    (void)mbedtls_asn1_write_len(p, *p - LENGTH_MAX, (size_t)(end - *p));
    *--*p = tag;
}

/* CertificationRequestInfo (RFC 2986, 4.1), before `end`. Returns its beginning. */
static uint8_t *write_info(uint8_t *end, const char *device_id, const uint8_t *spki, size_t spki_len)
{
    uint8_t *p = end;
    size_t name_len = strlen(device_id);
    wrap(&p, NO_ATTRIBUTES, end);
    put(&p, spki, spki_len);
    put(&p, device_id, name_len);
    put(&p, s_head, sizeof(s_head));
    for (size_t i = 0; i < sizeof(s_head_lengths); i++) {
        p[s_head_lengths[i]] = (uint8_t)(p[s_head_lengths[i]] + name_len);
    }
    wrap(&p, SEQUENCE, end);
    return p;
}

/* CertificationRequest (RFC 2986, 4.2), before `end`. Returns its beginning. */
static uint8_t *write_request(uint8_t *end, const uint8_t *info, size_t info_len, bool is_rsa,
                              const uint8_t *signature, size_t signature_len)
{
    uint8_t *p = end;
    put(&p, signature, signature_len);
    *--p = 0; /* unused bits */
    wrap(&p, MBEDTLS_ASN1_BIT_STRING, end);
    put(&p, is_rsa ? s_rsa : s_ecdsa, is_rsa ? sizeof(s_rsa) : sizeof(s_ecdsa));
    put(&p, info, info_len);
    wrap(&p, SEQUENCE, end);
    return p;
}

static cert_status_t sign_info(const cert_key_backend_t *backend, const uint8_t *ref, size_t ref_len,
                               const uint8_t *info, size_t info_len, uint8_t *signature, size_t *signature_len)
{
    uint8_t hash[CERT_HASH_LEN];
    size_t hash_len;
    if (psa_hash_compute(PSA_ALG_SHA_256, info, info_len, hash, sizeof(hash), &hash_len) != PSA_SUCCESS) {
        return CERT_ERR_INTERNAL;
    }
    return backend->sign(backend->ctx, ref, ref_len, hash, signature, signature_len);
}

cert_status_t csr_write_pem(const cert_key_backend_t *backend, const uint8_t *ref, size_t ref_len,
                            const char *device_id, char *out, size_t cap)
{
    uint8_t info_buf[INFO_MAX];
    uint8_t request_buf[REQUEST_MAX]; /* the public key comes first, to make way for the request */
    uint8_t signature[CERT_SIGNATURE_MAX];
    size_t spki_len;
    size_t signature_len;
    cert_status_t status = backend->public_key(backend->ctx, ref, ref_len, request_buf, &spki_len);
    if (status != CERT_OK) {
        return status;
    }
    uint8_t *end = info_buf + sizeof(info_buf);
    const uint8_t *info = write_info(end, device_id, request_buf, spki_len);
    size_t info_len = (size_t)(end - info);
    status = sign_info(backend, ref, ref_len, info, info_len, signature, &signature_len);
    if (status != CERT_OK) {
        return status;
    }
    end = request_buf + sizeof(request_buf);
    const uint8_t *request =
        write_request(end, info, info_len, spki_len > EC_PUBLIC_KEY_MAX, signature, signature_len);
    size_t written;
    int failed =
        mbedtls_pem_write_buffer("-----BEGIN CERTIFICATE REQUEST-----\n", "-----END CERTIFICATE REQUEST-----\n",
                                 request, (size_t)(end - request), (unsigned char *)out, cap, &written);
    return failed ? CERT_ERR_TOO_LARGE : CERT_OK;
}
