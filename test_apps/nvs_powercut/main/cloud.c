/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cloud.h"

#include <assert.h>
#include <cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authority.h"
#include "cert_check.h"
#include "mbedtls/x509_csr.h"

#define BOOTSTRAP "bootstrap/" CLOUD_DEVICE
#define DEVICE "devices/" CLOUD_DEVICE
#define KEY_PEM_MAX 512

static const char *s_topic;
static char *s_payload;
static uint32_t s_trust_version;

static void send(const char *topic, cJSON *message)
{
    free(s_payload);
    s_topic = topic;
    s_payload = cJSON_PrintUnformatted(message);
    cJSON_Delete(message);
}

char *cloud_take_message(const char **topic)
{
    char *payload = s_payload;
    s_payload = NULL;
    *topic = s_topic;
    return payload;
}

static const char *text(const cJSON *message, const char *field)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(message, field));
}

static void certify(const cJSON *request, const char *id_field, const char *topic)
{
    const char *csr_pem = text(request, "csr");
    char pem[AUTHORITY_PEM_MAX];
    cert_summary_t summary;
    mbedtls_x509_csr csr;
    mbedtls_x509_csr_init(&csr);
    int error = mbedtls_x509_csr_parse(&csr, (const unsigned char *)csr_pem, strlen(csr_pem) + 1);
    assert(error == 0);
    authority_issue(CLOUD_DEVICE, &csr.pk, pem);
    mbedtls_x509_csr_free(&csr);
    cert_check_summarize(pem, &summary);
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, id_field, text(request, id_field));
    cJSON_AddStringToObject(answer, "certificate", pem);
    cJSON_AddStringToObject(answer, "chain", authority_issuing_pem());
    cJSON_AddStringToObject(answer, "certificate_id", summary.id);
    send(topic, answer);
}

static void commit(const cJSON *status)
{
    cJSON *order = cJSON_CreateObject();
    cJSON_AddStringToObject(order, "rotation_id", text(status, "rotation_id"));
    cJSON_AddStringToObject(order, "certificate_id", text(status, "certificate_id"));
    send(DEVICE "/certs/commit", order);
}

void cloud_receive(cert_identity_kind_t identity, const char *topic, const char *payload, size_t len)
{
    cJSON *message = cJSON_ParseWithLength(payload, len);
    if (strcmp(topic, BOOTSTRAP "/enroll") == 0) {
        certify(message, "request_id", BOOTSTRAP "/enroll/accepted");
    } else if (strcmp(topic, DEVICE "/certs/csr") == 0) {
        certify(message, "rotation_id", DEVICE "/certs/issued");
    } else if (identity == CERT_IDENTITY_TRIAL && strcmp(text(message, "state"), "connected") == 0) {
        commit(message);
    }
    cJSON_Delete(message);
}

static cJSON *new_rotation(void)
{
    static unsigned rotations;
    char id[32];
    snprintf(id, sizeof(id), "rotation-%u", ++rotations);
    cJSON *order = cJSON_CreateObject();
    cJSON_AddStringToObject(order, "rotation_id", id);
    return order;
}

void cloud_push_rotation(void)
{
    char pem[AUTHORITY_PEM_MAX];
    char key_pem[KEY_PEM_MAX];
    mbedtls_pk_context key;
    authority_make_key(&key);
    authority_issue(CLOUD_DEVICE, &key, pem);
    mbedtls_pk_write_key_pem(&key, (unsigned char *)key_pem, sizeof(key_pem));
    mbedtls_pk_free(&key);
    cJSON *order = new_rotation();
    cJSON_AddStringToObject(order, "new_certificate", pem);
    cJSON_AddStringToObject(order, "new_private_key", key_pem);
    cJSON_AddStringToObject(order, "chain", authority_issuing_pem());
    send(DEVICE "/certs/rotate", order);
}

void cloud_order_rotation(void)
{
    cJSON *order = new_rotation();
    cJSON_AddStringToObject(order, "mode", "csr");
    cJSON_AddStringToObject(order, "key", "ec-p256");
    send(DEVICE "/certs/rotate", order);
}

void cloud_push_trust(void)
{
    char text[128];
    char signature[AUTHORITY_SIGNATURE_MAX];
    cert_summary_t root;
    cert_check_summarize(authority_root_pem(), &root);
    snprintf(text, sizeof(text), "fleetpki-trust-anchors\n%" PRIu32 "\n%s\n", ++s_trust_version, root.id);
    authority_sign(text, signature);
    cJSON *set = cJSON_CreateObject();
    cJSON_AddNumberToObject(set, "version", s_trust_version);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(set, "anchors"), cJSON_CreateString(authority_root_pem()));
    cJSON_AddStringToObject(set, "signature", signature);
    send(DEVICE "/certs/trust", set);
}

uint32_t cloud_trust_version(void)
{
    return s_trust_version;
}
