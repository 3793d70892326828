/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cloud.h"

#include <cJSON.h>
#include <mbedtls/x509_csr.h>
#include <openssl/evp.h>
#include <string.h>

#include "require.h"

#define ENROLLMENT_TOPIC(leaf) "bootstrap/" TEST_DEVICE "/" leaf
#define ROTATION_TOPIC(leaf) "devices/" TEST_DEVICE "/certs/" leaf

static void finish(const char *topic, cJSON *tree, cloud_message_t *message)
{
    snprintf(message->topic, sizeof(message->topic), "%s", topic);
    REQUIRE(cJSON_PrintPreallocated(tree, message->payload, sizeof(message->payload), false),
            "a message of the cloud is too large");
    cJSON_Delete(tree);
}

/* The last request, as JSON; NULL if there is none. */
static cJSON *last_request(world_t *world, bool enrolling)
{
    const char *payload =
        fake_port_last_message(&world->fake, enrolling ? ENROLLMENT_TOPIC("enroll") : ROTATION_TOPIC("csr"));
    return payload != NULL ? cJSON_Parse(payload) : NULL;
}

static const char *text_of(const cJSON *tree, const char *field)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(tree, field));
    REQUIRE(text != NULL, "a request lacks a field");
    return text;
}

static const pool_key_t *key_of_request(const char *csr_pem)
{
    mbedtls_x509_csr csr;
    mbedtls_x509_csr_init(&csr);
    REQUIRE(mbedtls_x509_csr_parse(&csr, (const unsigned char *)csr_pem, strlen(csr_pem) + 1) == 0,
            "a request cannot be read");
    const pool_key_t *key = pool_key_in(csr.raw.p, csr.raw.len);
    mbedtls_x509_csr_free(&csr);
    REQUIRE(key != NULL, "a request for a key that was never made");
    return key;
}

bool cloud_answer(world_t *world, bool enrolling, pool_variant_t variant, cloud_message_t *message)
{
    cJSON *request = last_request(world, enrolling);
    if (request == NULL) {
        return false;
    }
    const char *id_field = enrolling ? "request_id" : "rotation_id";
    const pool_certificate_t *certificate = &key_of_request(text_of(request, "csr"))->certificates[variant];
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, id_field, text_of(request, id_field));
    cJSON_AddStringToObject(answer, "certificate", certificate->pem);
    cJSON_AddStringToObject(answer, "chain", pool()->pki.chain_pem);
    cJSON_AddStringToObject(answer, "certificate_id", certificate->id);
    if (enrolling) {
        cJSON_AddStringToObject(answer, "time", "2027-01-15T08:00:00Z");
    }
    cJSON_Delete(request);
    finish(enrolling ? ENROLLMENT_TOPIC("enroll/accepted") : ROTATION_TOPIC("issued"), answer, message);
    return true;
}

bool cloud_reject(world_t *world, bool enrolling, const char *code, uint32_t retry_after_s, cloud_message_t *message)
{
    cJSON *request = last_request(world, enrolling);
    if (request == NULL) {
        return false;
    }
    const char *id_field = enrolling ? "request_id" : "rotation_id";
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, id_field, text_of(request, id_field));
    cJSON_AddStringToObject(answer, "code", code);
    cJSON_AddStringToObject(answer, "message", "not\ntoday");
    if (retry_after_s > 0) {
        cJSON_AddNumberToObject(answer, "retry_after_s", retry_after_s);
    }
    cJSON_Delete(request);
    finish(enrolling ? ENROLLMENT_TOPIC("enroll/rejected") : ROTATION_TOPIC("rejected"), answer, message);
    return true;
}

void cloud_rotate(const char *rotation_id, const char *key, cloud_message_t *message)
{
    cJSON *order = cJSON_CreateObject();
    cJSON_AddStringToObject(order, "rotation_id", rotation_id);
    cJSON_AddStringToObject(order, "mode", "csr");
    cJSON_AddStringToObject(order, "key", key);
    finish(ROTATION_TOPIC("rotate"), order, message);
}

void cloud_push(const char *rotation_id, const pool_certificate_t *certificate, const pool_key_t *key,
                cloud_message_t *message)
{
    cJSON *order = cJSON_CreateObject();
    if (rotation_id != NULL) {
        cJSON_AddStringToObject(order, "rotation_id", rotation_id);
    }
    cJSON_AddStringToObject(order, "new_certificate", certificate->pem);
    cJSON_AddStringToObject(order, "new_private_key", key->pem);
    cJSON_AddStringToObject(order, "chain", pool()->pki.chain_pem);
    finish(ROTATION_TOPIC("rotate"), order, message);
}

void cloud_commit(const world_t *world, bool wrong, cloud_message_t *message)
{
    const char *other = pool()->keys[0].certificates[POOL_FOREIGN].id;
    cJSON *order = cJSON_CreateObject();
    cJSON_AddStringToObject(order, "rotation_id", world->agent.identity.request_id);
    cJSON_AddStringToObject(order, "certificate_id", wrong ? other : world->agent.summary.id);
    finish(ROTATION_TOPIC("commit"), order, message);
}

/* The signature of a set as base64 text (docs/protocol.md, "Trust anchors"). Free with free(). */
static char *sign_set(const test_authority_t *signer, unsigned version, const char *const *anchors, size_t count)
{
    char text[512];
    int used = snprintf(text, sizeof(text), "fleetpki-trust-anchors\n%u\n", version);
    for (size_t i = 0; i < count; i++) {
        char id[CERT_ID_LEN + 1];
        pki_certificate_id(anchors[i], id);
        used += snprintf(text + used, sizeof(text) - (size_t)used, "%s\n", id);
    }
    uint8_t signature[256];
    size_t len = sizeof(signature);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    REQUIRE(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, signer->key) == 1 &&
            EVP_DigestSign(ctx, signature, &len, (const uint8_t *)text, (size_t)used) == 1, "no signature");
    EVP_MD_CTX_free(ctx);
    char *base64 = calloc(2, len + 4);
    REQUIRE(base64 != NULL, "out of memory");
    EVP_EncodeBlock((uint8_t *)base64, signature, (int)len);
    return base64;
}

static void make_trust(cloud_trust_t variant, cloud_message_t *message)
{
    static const unsigned versions[] = {1, 7, 2, 8, 9, 9};
    const test_pki_t *pki = &pool()->pki;
    const char *const anchors[] = {pki->anchors_pem, pki->chain_pem};
    size_t count = variant == CLOUD_TRUST_TWO_2 || variant == CLOUD_TRUST_TWO_8 ? 2 : 1;
    const test_authority_t *signer = variant == CLOUD_TRUST_BY_FOREIGN ? &pki->foreign_root : &pki->root;
    char *signature = sign_set(signer, versions[variant], anchors, count);
    cJSON *order = cJSON_CreateObject();
    cJSON_AddNumberToObject(order, "version", versions[variant] + (variant == CLOUD_TRUST_OTHER_VERSION ? 1 : 0));
    cJSON_AddItemToObject(order, "anchors", cJSON_CreateStringArray(anchors, (int)count));
    cJSON_AddStringToObject(order, "signature", signature);
    free(signature);
    finish(ROTATION_TOPIC("trust"), order, message);
}

/* Signed all at once, at the first call: otherwise a signature would depend on what was asked for before. */
void cloud_trust(cloud_trust_t variant, cloud_message_t *message)
{
    static cloud_message_t *made = NULL;
    if (made == NULL) {
        made = calloc(CLOUD_TRUST_VARIANTS, sizeof(*made));
        REQUIRE(made != NULL, "out of memory");
        for (unsigned i = 0; i < CLOUD_TRUST_VARIANTS; i++) {
            make_trust((cloud_trust_t)i, &made[i]);
        }
    }
    *message = made[variant];
}

void cloud_help(world_t *world, pool_variant_t variant)
{
    cloud_message_t message;
    uint32_t connection = world->fake.connect.connection;
    if (world->asked) {
        world_connected(world, connection);
    } else if (!world->online) {
        uint32_t wait_ms = world_tick(world, 0);
        if (!world->asked) {
            world_tick(world, wait_ms);
        }
    } else if (world->agent.using == CERT_IDENTITY_BOOTSTRAP) {
        if (cloud_answer(world, true, variant, &message)) {
            world_message(world, connection, message.topic, message.payload, strlen(message.payload));
        }
    } else if (world->agent.using == CERT_IDENTITY_TRIAL) {
        cloud_commit(world, false, &message);
        world_message(world, connection, message.topic, message.payload, strlen(message.payload));
    } else if (cloud_answer(world, false, variant, &message)) {
        world_message(world, connection, message.topic, message.payload, strlen(message.payload));
    }
}
