/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cert_check.h"

#include <mbedtls/oid.h>
#include <psa/crypto.h>
#include <string.h>

#include "civil_time.h"
#include "key_backend.h"
#include "mbedtls_compat.h"

#define SHA256_LEN 32
#define RSA_BITS_MIN 2048
#define EC_BITS_MIN 256

static cert_status_t refuse(cert_status_t status, const char **why, const char *text)
{
    *why = text;
    return status;
}

static int64_t x509_seconds(const mbedtls_x509_time *t)
{
    return civil_time_seconds(t->year, t->mon, t->day, t->hour, t->min, t->sec);
}

void cert_check_id(const mbedtls_x509_crt *crt, char *id)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t hash[SHA256_LEN] = { 0 };
    size_t len;
    (void)psa_hash_compute(PSA_ALG_SHA_256, crt->raw.p, crt->raw.len, hash, sizeof(hash), &len);
    for (size_t i = 0; i < SHA256_LEN; i++) {
        id[2 * i] = hex[hash[i] >> 4];
        id[2 * i + 1] = hex[hash[i] & 0x0F];
    }
    id[CERT_ID_LEN] = '\0';
}

static void summarize(const mbedtls_x509_crt *leaf, cert_summary_t *summary)
{
    cert_check_id(leaf, summary->id);
    summary->not_before = x509_seconds(&leaf->valid_from);
    summary->not_after = x509_seconds(&leaf->valid_to);
}

/* A positive result counts certificates that could not be read: as bad as none. */
static bool parse_chain(mbedtls_x509_crt *chain, const char *pem)
{
    return mbedtls_x509_crt_parse(chain, (const unsigned char *)pem, strlen(pem) + 1) == 0;
}

cert_status_t cert_check_summarize(const char *chain_pem, cert_summary_t *summary)
{
    mbedtls_x509_crt chain;
    mbedtls_x509_crt_init(&chain);
    bool parsed = parse_chain(&chain, chain_pem);
    if (parsed) {
        summarize(&chain, summary);
    }
    mbedtls_x509_crt_free(&chain);
    return parsed ? CERT_OK : CERT_ERR_BAD_MESSAGE;
}

/* Exactly one common name, and it is the device id. */
static bool names_device(const mbedtls_x509_crt *leaf, const char *device_id)
{
    size_t id_len = strlen(device_id);
    int names = 0;
    bool same = false;
    for (const mbedtls_x509_name *name = &leaf->subject; name != NULL; name = name->next) {
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &name->oid) == 0) {
            names++;
            same = name->val.len == id_len && memcmp(name->val.p, device_id, id_len) == 0;
        }
    }
    return names == 1 && same;
}

bool cert_check_is_strong(const mbedtls_pk_context *pk)
{
    bool is_rsa;
    bool is_nist_ec;
    size_t bits;
    compat_pk_describe(pk, &is_rsa, &is_nist_ec, &bits);
    return (is_rsa && bits >= RSA_BITS_MIN) || (is_nist_ec && bits >= EC_BITS_MIN);
}

static cert_status_t check_trust(mbedtls_x509_crt *chain, const char *anchors_pem, const char **why)
{
    mbedtls_x509_crt anchors;
    mbedtls_x509_crt_init(&anchors);
    uint32_t flags = 0;
    cert_status_t status = CERT_OK;
    if (!parse_chain(&anchors, anchors_pem)) {
        status = refuse(CERT_ERR_INTERNAL, why, "the trust anchors cannot be read");
    } else {
        (void)mbedtls_x509_crt_verify(chain, &anchors, NULL, NULL, &flags, NULL, NULL);
        /*
         * Dates are ours to check: mbedTLS looks at them only in some configurations, and at a clock we may not trust.
         */
        flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
        if (flags != 0) {
            status = refuse(CERT_ERR_UNTRUSTED, why, "the chain does not verify to a trust anchor");
        }
    }
    mbedtls_x509_crt_free(&anchors);
    return status;
}

/*
 * Without the extension a certificate is good for anything (RFC 5280 section 4.2.1.12); an identity has to say what it
 * is for.
 */
static bool is_for_client_auth(const mbedtls_x509_crt *leaf)
{
    return leaf->ext_key_usage.buf.p != NULL &&
           mbedtls_x509_crt_check_extended_key_usage(leaf, MBEDTLS_OID_CLIENT_AUTH,
                                                     MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) == 0;
}

/* The private key proves itself: what it signs, the certificate's public key verifies. */
static bool key_matches(const cert_key_backend_t *own, mbedtls_x509_crt *leaf, const cert_identity_t *candidate)
{
    static const uint8_t challenge[CERT_HASH_LEN] = "is it the key of the certificate";
    uint8_t signature[CERT_SIGNATURE_MAX];
    size_t len = 0;
    const cert_key_backend_t *backend = key_backend_find(own, candidate->key_kind);
    return backend != NULL &&
           backend->sign(backend->ctx, candidate->key, candidate->key_len, challenge, signature, &len) == CERT_OK &&
           mbedtls_pk_verify(&leaf->pk, MBEDTLS_MD_SHA256, challenge, sizeof(challenge), signature, len) == 0;
}

/* Every certificate of the chain has to be valid now. When the time is only a floor, "not yet valid" cannot be told. */
static cert_status_t check_dates(const mbedtls_x509_crt *chain, const cert_check_rules_t *rules, const char **why)
{
    for (const mbedtls_x509_crt *crt = chain; crt != NULL; crt = crt->next) {
        if (rules->now > x509_seconds(&crt->valid_to)) {
            return refuse(CERT_ERR_EXPIRED, why, rules->now_is_known
                          ? "a certificate of the chain has expired by this device's clock"
                          : "a certificate of the chain has expired by the time floor (the clock is not set)");
        }
        if (rules->now_is_known && rules->now < x509_seconds(&crt->valid_from)) {
            return refuse(CERT_ERR_NOT_YET_VALID, why,
                          "a certificate of the chain is not valid yet by this device's clock");
        }
    }
    return CERT_OK;
}

static cert_status_t check_newer(const cert_summary_t *summary, const cert_summary_t *current, const char **why)
{
    if (strcmp(summary->id, current->id) == 0) {
        return refuse(CERT_ERR_STALE, why, "this certificate is already in use");
    }
    if (summary->not_before < current->not_before) {
        return refuse(CERT_ERR_STALE, why, "the certificate is older than the one in use");
    }
    return CERT_OK;
}

static cert_status_t check_parsed(const cert_check_rules_t *rules, const cert_identity_t *candidate,
                                  mbedtls_x509_crt *chain, cert_summary_t *summary, const char **why)
{
    if (!names_device(chain, rules->device_id)) {
        return refuse(CERT_ERR_WRONG_SUBJECT, why, "the certificate's common name is not this device");
    }
    if (!cert_check_is_strong(&chain->pk)) {
        return refuse(CERT_ERR_WEAK_KEY, why,
                      "the key has to be RSA of 2048 bits or more, or EC on a NIST curve from P-256");
    }
    cert_status_t status = check_trust(chain, rules->anchors_pem, why);
    if (status != CERT_OK) {
        return status;
    }
    if (!is_for_client_auth(chain)) {
        return refuse(CERT_ERR_UNTRUSTED, why, "the certificate is not for client authentication");
    }
    if (!key_matches(rules->key_backend, chain, candidate)) {
        return refuse(CERT_ERR_KEY_MISMATCH, why, "the private key does not belong to the certificate");
    }
    status = check_dates(chain, rules, why);
    if (status != CERT_OK) {
        return status;
    }
    summarize(chain, summary);
    return rules->current != NULL ? check_newer(summary, rules->current, why) : CERT_OK;
}

cert_status_t cert_check_candidate(const cert_check_rules_t *rules, const cert_identity_t *candidate,
                                   cert_summary_t *summary, const char **why)
{
    mbedtls_x509_crt chain;
    mbedtls_x509_crt_init(&chain);
    cert_status_t status = parse_chain(&chain, candidate->chain_pem)
                           ? check_parsed(rules, candidate, &chain, summary, why)
                           : refuse(CERT_ERR_BAD_MESSAGE, why, "the certificate is not PEM that can be read");
    mbedtls_x509_crt_free(&chain);
    return status;
}
