/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * The gate: which certificate and key may become an identity, which trust anchors may follow which.
 *
 * The first byte says how the rest is taken:
 *   0  a candidate put together from real parts: whether it is to be accepted is known beforehand
 *   1  as 0, then bytes of the leaf's DER changed: nothing may be accepted whose signed part is not the cloud's
 *   2  a chain and a key out of thin air
 *   3  a set of trust anchors put together from real parts, its signature perhaps damaged
 *   4  a set of trust anchors out of thin air
 */
#include <cJSON.h>
#include <mbedtls/base64.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>

#include "cert_check.h"
#include "cloud.h"
#include "input.h"
#include "key_backend.h"
#include "pool.h"
#include "require.h"
#include "trust_store.h"

#define PEM_HEAD "-----BEGIN CERTIFICATE-----\n"
#define PEM_FOOT "-----END CERTIFICATE-----\n"
#define DER_MAX 2048
#define SIGNATURE_MAX 512

static cert_identity_t s_candidate;
static cert_check_rules_t s_rules;

/* The rules of every day: the clock is known and right, there is no certificate yet. */
static void begin(void)
{
    memset(&s_candidate, 0, sizeof(s_candidate));
    s_rules = (cert_check_rules_t){
        .device_id = TEST_DEVICE,
        .anchors_pem = pool()->pki.anchors_pem,
        .now = TEST_NOW,
        .now_is_known = true,
    };
}

static void hold_key(const pool_key_t *key)
{
    memcpy(s_candidate.key, key->der, key->der_len);
    s_candidate.key_len = key->der_len;
}

static void set_chain(const char *leaf, const char *rest)
{
    int len = snprintf(s_candidate.chain_pem, sizeof(s_candidate.chain_pem), "%s%s", leaf, rest);
    REQUIRE(len >= 0, "no chain");
    s_candidate.chain_len = strlen(s_candidate.chain_pem);
}

static cert_status_t check(cert_summary_t *summary)
{
    const char *why = NULL;
    cert_status_t status = cert_check_candidate(&s_rules, &s_candidate, summary, &why);
    REQUIRE(status == CERT_OK || why != NULL, "a candidate was refused without a reason");
    return status;
}

static void change_rules(input_t *input, cert_summary_t *current)
{
    s_rules.now_is_known = take_choice(input, 2) == 0;
    s_rules.now = TEST_NOW + ((int64_t)take_u16(input) - 0x8000) * TEST_DAY / 8;
    if (take_choice(input, 2) == 1) {
        const pool_key_t *key = &pool()->keys[take_choice(input, POOL_KEYS)];
        const char *pem = key->certificates[take_choice(input, POOL_GOOD_COUNT)].pem;
        REQUIRE(cert_check_summarize(pem, current) == CERT_OK, "a certificate of the pool cannot be read");
        s_rules.current = current;
    }
}

static bool is_right_time(const cert_summary_t *summary)
{
    return s_rules.now <= summary->not_after && (!s_rules.now_is_known || s_rules.now >= summary->not_before);
}

static bool is_newer(const cert_summary_t *summary)
{
    return s_rules.current == NULL ||
           (strcmp(summary->id, s_rules.current->id) != 0 && summary->not_before >= s_rules.current->not_before);
}

/* Leaf, what follows it, key, rules: each out of several real ones. @return the leaf */
static const pool_certificate_t *compose(input_t *input, bool *is_good, cert_summary_t *current)
{
    const char *const rests[] = {pool()->pki.chain_pem, pool()->pki.chain_pem, "", pool()->pki.bootstrap_pem};
    const pool_key_t *owner = &pool()->keys[take_choice(input, POOL_KEYS)];
    const pool_key_t *held = (take_u8(input) & 7) == 7 ? &pool()->keys[take_choice(input, POOL_KEYS)] : owner;
    unsigned variant = take_choice(input, POOL_VARIANTS);
    unsigned rest = take_choice(input, 4);
    const pool_certificate_t *leaf = &owner->certificates[variant];
    hold_key(held);
    set_chain(leaf->pem, rests[rest]);
    change_rules(input, current);
    cert_summary_t summary;
    REQUIRE(cert_check_summarize(leaf->pem, &summary) == CERT_OK, "a certificate of the pool cannot be read");
    bool may_be_issued = variant < POOL_GOOD_COUNT || variant == POOL_EXPIRED || variant == POOL_NOT_YET_VALID;
    *is_good = may_be_issued && rest < 2 && held == owner && is_right_time(&summary) && is_newer(&summary);
    return leaf;
}

static void check_composed(input_t *input)
{
    cert_summary_t current;
    cert_summary_t summary;
    bool is_good;
    const pool_certificate_t *leaf = compose(input, &is_good, &current);
    cert_status_t status = check(&summary);
    REQUIRE((status == CERT_OK) == is_good,
            is_good ? "a good credential was refused" : "a bad credential was accepted");
    REQUIRE(status != CERT_OK || strcmp(summary.id, leaf->id) == 0, "the summary is of another certificate");
}

/* DER as PEM text; false if it does not fit. */
static bool write_pem(const uint8_t *der, size_t len, char *pem, size_t cap)
{
    size_t base64_len;
    int used = snprintf(pem, cap, PEM_HEAD);
    if (mbedtls_base64_encode((unsigned char *)pem + used, cap - (size_t)used - sizeof(PEM_FOOT) - 1, &base64_len, der,
                              len) != 0) {
        return false;
    }
    snprintf(pem + used + base64_len, cap - (size_t)used - base64_len, "\n" PEM_FOOT);
    return true;
}

static bool has_signed_part_of_cloud(const char *chain)
{
    mbedtls_x509_crt leaf;
    mbedtls_x509_crt_init(&leaf);
    bool found = false;
    (void)mbedtls_x509_crt_parse(&leaf, (const unsigned char *)chain, strlen(chain) + 1);
    for (unsigned i = 0; i < POOL_KEYS * POOL_VARIANTS; i++) {
        const pool_certificate_t *known = &pool()->keys[i / POOL_VARIANTS].certificates[i % POOL_VARIANTS];
        found |= leaf.tbs.len == known->signed_len && memcmp(leaf.tbs.p, known->signed_part, known->signed_len) == 0;
    }
    mbedtls_x509_crt_free(&leaf);
    return found;
}

static void check_changed(input_t *input)
{
    uint8_t der[DER_MAX];
    char pem[2 * DER_MAX];
    cert_summary_t current;
    cert_summary_t summary;
    bool is_good;
    const pool_certificate_t *leaf = compose(input, &is_good, &current);
    mbedtls_x509_crt parsed;
    mbedtls_x509_crt_init(&parsed);
    REQUIRE(mbedtls_x509_crt_parse(&parsed, (const unsigned char *)leaf->pem, strlen(leaf->pem) + 1) == 0, "the pool");
    size_t len = parsed.raw.len;
    memcpy(der, parsed.raw.p, len);
    mbedtls_x509_crt_free(&parsed);
    for (unsigned changes = take_choice(input, 8); changes > 0; changes--) {
        size_t at = take_u16(input) % len;
        der[at] = take_u8(input);
    }
    if (write_pem(der, len, pem, sizeof(pem))) {
        set_chain(pem, pool()->pki.chain_pem);
        REQUIRE(check(&summary) != CERT_OK || has_signed_part_of_cloud(pem),
                "a certificate the cloud never signed was accepted");
    }
}

/* Certificates as DER, so that the fuzzer can change them; and as text. The key likewise. */
static void check_anything(input_t *input)
{
    char pem[2 * DER_MAX];
    cert_summary_t summary;
    bool as_der = take_choice(input, 2) == 0;
    char *key = take_text(input);
    if (key_backend_import(key, s_candidate.key, &s_candidate.key_len) == CERT_OK) {
        REQUIRE(s_candidate.key_len > 0 && s_candidate.key_len <= CERT_KEY_MAX, "length of an imported key");
    } else {
        hold_key(&pool()->keys[take_choice(input, POOL_KEYS)]);
    }
    free(key);
    if (as_der) {
        input_t der = take_slice(input);
        char *rest = take_text(input);
        if (write_pem(der.data, der.len, pem, sizeof(pem))) {
            set_chain(pem, rest);
        }
        free(rest);
    } else {
        char *text = take_text(input);
        set_chain(text, "");
        free(text);
    }
    if (check(&summary) == CERT_OK) {
        REQUIRE(has_signed_part_of_cloud(s_candidate.chain_pem), "a certificate the cloud never signed was accepted");
    }
}

/* Take a trust message of the cloud apart into a set and its signature. */
static size_t read_update(cloud_trust_t variant, cert_trust_set_t *set, uint8_t *signature)
{
    cloud_message_t message;
    cloud_trust(variant, &message);
    cJSON *tree = cJSON_Parse(message.payload);
    size_t used = 0;
    size_t signature_len;
    for (const cJSON *anchor = cJSON_GetObjectItem(tree, "anchors")->child; anchor != NULL; anchor = anchor->next) {
        used += (size_t)snprintf(set->anchors_pem + used, sizeof(set->anchors_pem) - used, "%s\n", anchor->valuestring);
    }
    set->version = (uint32_t)cJSON_GetObjectItem(tree, "version")->valuedouble;
    const char *base64 = cJSON_GetObjectItem(tree, "signature")->valuestring;
    REQUIRE(mbedtls_base64_decode(signature, SIGNATURE_MAX, &signature_len, (const unsigned char *)base64,
                                  strlen(base64)) == 0,
            "the signature of an update");
    cJSON_Delete(tree);
    return signature_len;
}

static cert_status_t check_set(uint32_t current_version, const cert_trust_set_t *next, const uint8_t *signature,
                               size_t len)
{
    static cert_trust_set_t current;
    const char *why = NULL;
    current.version = current_version;
    strcpy(current.anchors_pem, pool()->pki.anchors_pem);
    cert_status_t status = trust_store_check(&current, next, signature, len, &why);
    REQUIRE(status == CERT_OK || why != NULL, "anchors were refused without a reason");
    return status;
}

static void check_update(input_t *input)
{
    static cert_trust_set_t set;
    uint8_t signature[SIGNATURE_MAX];
    unsigned variant = take_choice(input, CLOUD_TRUST_VARIANTS);
    size_t len = read_update((cloud_trust_t)variant, &set, signature);
    uint32_t current_version = take_choice(input, 12);
    unsigned damage = take_u8(input);
    if ((damage & 1) != 0) {
        size_t at = take_u16(input) % len;
        uint8_t flip = take_u8(input);
        signature[at] ^= flip;
        damage = flip;
    }
    bool is_good = variant < CLOUD_TRUST_GOOD_COUNT && set.version > current_version && damage == 0;
    bool is_bad = variant >= CLOUD_TRUST_GOOD_COUNT || set.version <= current_version;
    cert_status_t status = check_set(current_version, &set, signature, len);
    REQUIRE(!is_good || status == CERT_OK, "good anchors were refused");
    REQUIRE(!is_bad || status != CERT_OK, "bad anchors were accepted");
}

static void check_any_set(input_t *input)
{
    static cert_trust_set_t set;
    uint8_t signature[SIGNATURE_MAX];
    memset(&set, 0, sizeof(set));
    set.version = take_u32(input);
    uint32_t current_version = take_u32(input);
    input_t given = take_slice(input);
    size_t len = given.len < sizeof(signature) ? given.len : sizeof(signature);
    take_bytes(&given, signature, len);
    size_t text_len = input->len < CERT_ANCHORS_PEM_MAX ? input->len : CERT_ANCHORS_PEM_MAX;
    take_bytes(input, set.anchors_pem, text_len);
    REQUIRE(check_set(current_version, &set, signature, len) != CERT_OK, "anchors nobody has signed were accepted");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static void (*const modes[])(input_t *) = { check_composed, check_changed, check_anything, check_update,
                                                check_any_set };
    input_t input = {data, len};
    REQUIRE(psa_crypto_init() == PSA_SUCCESS, "PSA Crypto does not start");
    begin();
    modes[take_choice(&input, sizeof(modes) / sizeof(modes[0]))](&input);
    return 0;
}
