/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "trust_store.h"

#include <mbedtls/platform.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "cert_check.h"
#include "mbedtls_compat.h"
#include "stored_value.h"

#define TRUST_HEADER_LEN 12
#define TRUST_REFUSALS_AT 6
#define TRUST_VERSION_AT 8

static const stored_kind_t s_set = { .magic = "CMTA", .version = 1, .min_len = TRUST_HEADER_LEN };

_Static_assert(TRUST_HEADER_LEN + CERT_ANCHORS_PEM_MAX + STORED_CRC_LEN <= CERT_SLOT_BLOB_MAX,
               "a set has to fit the scratch buffer");

/* Parsing a set takes less heap than so many times its length. */
#define PARSE_HEAP_FACTOR 3

#define SHA256_LEN 32
#define SIGNED_TEXT_HEAD "fleetpki-trust-anchors\n"

static const char *key_of(trust_state_t state)
{
    return state == TRUST_PROVEN ? "trust" : "trust_trial";
}

static bool is_parsed(mbedtls_x509_crt *anchors, const char *pem)
{
    return mbedtls_x509_crt_parse(anchors, (const unsigned char *)pem, strlen(pem) + 1) == 0;
}

static bool has_memory_for(const char *pem)
{
    void *volatile probe = mbedtls_calloc(PARSE_HEAP_FACTOR, strlen(pem) + 1); /* or the compiler leaves it out */
    mbedtls_free(probe);
    return probe != NULL;
}

/*
 * What mbedTLS returns does not tell bad PEM from want of memory: of several certificates it only counts those it could
 * not read, and an RSA key without memory passes for a malformed one. So PEM is bad only if it cannot be read while
 * there is memory. Returns CERT_OK, CERT_ERR_CORRUPT, CERT_ERR_INTERNAL.
 */
static cert_status_t parse(mbedtls_x509_crt *anchors, const char *pem)
{
    if (is_parsed(anchors, pem)) {
        return CERT_OK;
    }
    mbedtls_x509_crt_free(anchors);
    mbedtls_x509_crt_init(anchors);
    if (!has_memory_for(pem)) {
        return CERT_ERR_INTERNAL;
    }
    return is_parsed(anchors, pem) ? CERT_OK : CERT_ERR_CORRUPT;
}

/* Anchors that nobody could be verified with would lock the device out. */
static cert_status_t check_usable(const char *pem)
{
    mbedtls_x509_crt anchors;
    mbedtls_x509_crt_init(&anchors);
    cert_status_t status = parse(&anchors, pem);
    mbedtls_x509_crt_free(&anchors);
    return status;
}

cert_status_t trust_store_read(const cert_port_t *port, trust_state_t state, uint8_t *blob, cert_trust_set_t *set)
{
    size_t len = 0;
    cert_status_t status = stored_value_read(port, key_of(state), &s_set, blob, CERT_SLOT_BLOB_MAX, &len);
    if (status != CERT_OK) {
        return status;
    }
    size_t text_len = len - TRUST_HEADER_LEN;
    if (text_len > CERT_ANCHORS_PEM_MAX) {
        return CERT_ERR_CORRUPT;
    }
    blob[len] = '\0'; /* where the CRC was */
    status = check_usable((const char *)blob + TRUST_HEADER_LEN);
    if (status != CERT_OK) {
        return status;
    }
    set->refusals = bytes_get_u16(blob + TRUST_REFUSALS_AT);
    set->version = bytes_get_u32(blob + TRUST_VERSION_AT);
    memcpy(set->anchors_pem, blob + TRUST_HEADER_LEN, text_len);
    set->anchors_pem[text_len] = '\0';
    return CERT_OK;
}

cert_status_t trust_store_write(const cert_port_t *port, trust_state_t state, uint8_t *blob,
                                const cert_trust_set_t *set)
{
    size_t text_len = strlen(set->anchors_pem);
    bytes_put_u16(blob + TRUST_REFUSALS_AT, set->refusals);
    bytes_put_u32(blob + TRUST_VERSION_AT, set->version);
    memcpy(blob + TRUST_HEADER_LEN, set->anchors_pem, text_len);
    return stored_value_write(port, key_of(state), &s_set, blob, TRUST_HEADER_LEN + text_len);
}

cert_status_t trust_store_erase(const cert_port_t *port, trust_state_t state)
{
    return port->kv_erase(port->ctx, key_of(state));
}

/* The hash of what is signed: a head, the version, and the certificate id of each anchor, a line each. */
static bool hash_signed_text(const mbedtls_x509_crt *anchors, uint32_t version, uint8_t *hash)
{
    psa_hash_operation_t operation = PSA_HASH_OPERATION_INIT;
    char line[CERT_ID_LEN + 2];
    size_t len;
    int head = snprintf(line, sizeof(line), SIGNED_TEXT_HEAD "%u\n", (unsigned)version);
    bool good = psa_hash_setup(&operation, PSA_ALG_SHA_256) == PSA_SUCCESS &&
                psa_hash_update(&operation, (const uint8_t *)line, (size_t)head) == PSA_SUCCESS;
    for (const mbedtls_x509_crt *anchor = anchors; good && anchor != NULL; anchor = anchor->next) {
        cert_check_id(anchor, line);
        line[CERT_ID_LEN] = '\n';
        good = psa_hash_update(&operation, (const uint8_t *)line, CERT_ID_LEN + 1) == PSA_SUCCESS;
    }
    good = good && psa_hash_finish(&operation, hash, SHA256_LEN, &len) == PSA_SUCCESS;
    (void)psa_hash_abort(&operation);
    return good;
}

static bool is_signed_by_one_of(mbedtls_x509_crt *anchors, const uint8_t *hash, const uint8_t *signature,
                                size_t signature_len)
{
    for (mbedtls_x509_crt *anchor = anchors; anchor != NULL; anchor = anchor->next) {
        if (mbedtls_pk_verify(&anchor->pk, MBEDTLS_MD_SHA256, hash, SHA256_LEN, signature, signature_len) == 0) {
            return true;
        }
    }
    return false;
}

static const char *skip_space(const char *text)
{
    return text + strspn(text, "\r\n\t ");
}

/*
 * Whether a text is these certificates and nothing else. What is signed is the certificates we parse; the text is what
 * is stored, and the TLS library that reads it then may know kinds of blocks that mbedTLS skips: OpenSSL takes
 * "X509 CERTIFICATE" for a certificate, too.
 */
static bool is_nothing_but(const mbedtls_x509_crt *anchors, const char *text)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    static const char end[] = "-----END CERTIFICATE-----";
    text = skip_space(text);
    for (const mbedtls_x509_crt *anchor = anchors; anchor != NULL; anchor = anchor->next) {
        if (strncmp(text, begin, strlen(begin)) != 0) {
            return false;
        }
        text += strlen(begin);
        text += strcspn(text, "-");
        if (strncmp(text, end, strlen(end)) != 0) {
            return false;
        }
        text = skip_space(text + strlen(end));
    }
    return *text == '\0';
}

static cert_status_t check_parsed(mbedtls_x509_crt *current, const mbedtls_x509_crt *next, uint32_t version,
                                  const uint8_t *signature, size_t signature_len, const char **why)
{
    for (const mbedtls_x509_crt *anchor = next; anchor != NULL; anchor = anchor->next) {
        if (!compat_crt_is_ca(anchor)) {
            *why = "an anchor is not a CA certificate";
            return CERT_ERR_BAD_MESSAGE;
        }
        if (!cert_check_is_strong(&anchor->pk)) {
            *why = "the key of an anchor is too weak";
            return CERT_ERR_WEAK_KEY;
        }
    }
    uint8_t hash[SHA256_LEN];
    if (!hash_signed_text(next, version, hash)) {
        *why = "the anchors could not be hashed";
        return CERT_ERR_INTERNAL;
    }
    if (!is_signed_by_one_of(current, hash, signature, signature_len)) {
        *why = "not signed by a current anchor";
        return CERT_ERR_UNTRUSTED;
    }
    return CERT_OK;
}

cert_status_t trust_store_check(const cert_trust_set_t *current, const cert_trust_set_t *next, const uint8_t *signature,
                                size_t signature_len, const char **why)
{
    if (next->version <= current->version) {
        *why = "not newer than the anchors in use";
        return CERT_ERR_STALE;
    }
    mbedtls_x509_crt current_anchors;
    mbedtls_x509_crt next_anchors;
    mbedtls_x509_crt_init(&current_anchors);
    mbedtls_x509_crt_init(&next_anchors);
    cert_status_t status = parse(&next_anchors, next->anchors_pem);
    if (status == CERT_OK && !is_nothing_but(&next_anchors, next->anchors_pem)) {
        status = CERT_ERR_CORRUPT;
    }
    if (status != CERT_OK) {
        *why = "the anchors are not PEM certificates that can be read, and nothing else";
        status = status == CERT_ERR_CORRUPT ? CERT_ERR_BAD_MESSAGE : status;
    } else if (parse(&current_anchors, current->anchors_pem) != CERT_OK) {
        *why = "the anchors in use cannot be read";
        status = CERT_ERR_INTERNAL;
    } else {
        status = check_parsed(&current_anchors, &next_anchors, next->version, signature, signature_len, why);
    }
    mbedtls_x509_crt_free(&current_anchors);
    mbedtls_x509_crt_free(&next_anchors);
    return status;
}
