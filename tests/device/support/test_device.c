/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "test_device.h"

#include <stdio.h>
#include <stdlib.h>

#include "key_backend.h"
#include "testing.h"

static cert_status_t other_public_key(void *ctx, const uint8_t *ref, size_t ref_len, uint8_t *spki, size_t *spki_len)
{
    const cert_status_t *status = ctx;
    return *status != CERT_OK ? *status : key_backend_software.public_key(NULL, ref, ref_len, spki, spki_len);
}

cert_key_backend_t test_other_backend(cert_status_t *public_key_status)
{
    cert_key_backend_t other = key_backend_software;
    other.kind = CERT_KEY_KIND_HMAC;
    other.ctx = public_key_status;
    other.public_key = other_public_key;
    *public_key_status = CERT_OK;
    return other;
}

void test_device_prepare(test_device_t *device)
{
    pki_make(&device->pki);
    fake_port_init(&device->fake);
    device->port = fake_port_make(&device->fake);
    device->config = (cert_agent_config_t){
        .device_id = TEST_DEVICE,
        .bootstrap_chain_pem = device->pki.bootstrap_pem,
        .bootstrap_key = (const uint8_t *)device->pki.bootstrap_key_pem,
        .bootstrap_key_len = strlen(device->pki.bootstrap_key_pem) + 1,
        .anchors_pem = device->pki.anchors_pem,
        .key_type = CERT_KEY_EC_P256,
        .build_time = TEST_NOW - 30 * TEST_DAY,
        .backoff_min_ms = 1000,
        .backoff_max_ms = 60000,
        .hardware = "test",
        .firmware = "1.2.3",
    };
}

int test_device_setup(void **state)
{
    test_device_t *device = calloc(1, sizeof(*device));
    assert_non_null(device);
    test_device_prepare(device);
    *state = device;
    return 0;
}

int test_device_teardown(void **state)
{
    test_device_t *device = *state;
    pki_free(&device->pki);
    free(device);
    return 0;
}

void device_boot(test_device_t *device)
{
    device->fake.power_lost = false;
    device->fake.power_left = -1;
    assert_int_equal(cert_agent_init(&device->agent, &device->config, &device->port), CERT_OK);
    assert_int_equal(cert_agent_boot(&device->agent, device->now_ms), CERT_OK);
    device_tick(device);
}

void device_power_cycle(test_device_t *device)
{
    memset(&device->fake.boot_ram, 0x5A, sizeof(device->fake.boot_ram));
    device_boot(device);
}

void device_tick(test_device_t *device)
{
    cert_agent_tick(&device->agent, device->now_ms);
}

void device_wait(test_device_t *device)
{
    device->now_ms += cert_agent_tick(&device->agent, device->now_ms);
    device_tick(device);
}

void device_connected(test_device_t *device)
{
    assert_int_equal(device->agent.phase, CERT_PHASE_CONNECTING);
    cert_agent_connected(&device->agent, device->fake.connect.connection, device->now_ms);
    device_tick(device);
}

void device_delivered(test_device_t *device)
{
    cert_agent_delivered(&device->agent, device->fake.connect.connection);
}

void device_failed(test_device_t *device, cert_failure_t why)
{
    cert_agent_disconnected(&device->agent, device->fake.connect.connection, why, "as the test says", device->now_ms);
    device_wait(device);
}

void device_receive(test_device_t *device, const char *topic, const char *payload)
{
    size_t len = strlen(payload);
    uint8_t *copy = malloc(len + 1);
    assert_non_null(copy);
    memcpy(copy, payload, len + 1);
    cert_agent_message(&device->agent, device->fake.connect.connection, topic, copy, len, device->now_ms);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(copy[i], 0); /* a payload may hold a private key: it is wiped, whatever it was */
    }
    free(copy);
    device_tick(device);
}

void device_receive_from(test_device_t *device, const char *topic, char *payload)
{
    device_receive(device, topic, payload);
    free(payload);
}

void device_enroll(test_device_t *device)
{
    device_boot(device);
    device_connected(device);
    const test_leaf_t leaf = pki_good_leaf();
    device_receive_from(device, TOPIC_ACCEPTED, cloud_answer(device, TOPIC_ENROLL, &leaf));
    device_connected(device);
    fake_port_forget(&device->fake);
}

int test_device_setup_online(void **state)
{
    test_device_setup(state);
    device_enroll(*state);
    return 0;
}

void device_begin_trial(test_device_t *device, const char *rotation_id)
{
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, rotation_id));
    device_connected(device);
    assert_int_equal(device->agent.using, CERT_IDENTITY_TRIAL);
}

void assert_unchanged(const test_device_t *device)
{
    assert_int_equal(device->agent.record.current, CERT_SLOT_A);
    assert_int_equal(device->agent.record.trial, CERT_SLOT_NONE);
    assert_int_equal(device->agent.record.generation, 1);
}

cJSON *device_said(test_device_t *device, const char *topic)
{
    const char *payload = fake_port_last_message(&device->fake, topic);
    if (payload == NULL) {
        fail_msg("the device said nothing on %s", topic);
        return NULL;
    }
    cJSON *message = cJSON_Parse(payload);
    assert_true(cJSON_IsObject(message));
    return message;
}

void assert_said(test_device_t *device, const char *topic, const char *field, const char *value)
{
    cJSON *message = device_said(device, topic);
    const char *said = cJSON_GetStringValue(cJSON_GetObjectItem(message, field));
    assert_non_null(said);
    assert_string_equal(said, value);
    cJSON_Delete(message);
}

void assert_rejected(test_device_t *device, const char *code)
{
    assert_said(device, TOPIC_STATUS, "state", "rejected");
    assert_said(device, TOPIC_STATUS, "code", code);
    assert_int_equal(device->agent.record.trial, CERT_SLOT_NONE);
    assert_int_equal(device->agent.phase, CERT_PHASE_ONLINE);
    assert_int_equal(device->fake.disconnects, 0);
}

/** Print a message and free its tree. */
static char *message_text(cJSON *message)
{
    char *text = cJSON_PrintUnformatted(message);
    assert_non_null(text);
    cJSON_Delete(message);
    return text;
}

char *cloud_answer(test_device_t *device, const char *request_topic, const test_leaf_t *leaf)
{
    cJSON *request = device_said(device, request_topic);
    const char *csr = cJSON_GetStringValue(cJSON_GetObjectItem(request, "csr"));
    assert_non_null(csr);
    EVP_PKEY *key = pki_csr_key(csr, NULL);
    char *certificate = pki_issue(&device->pki.issuing, key, leaf);
    EVP_PKEY_free(key);
    pki_certificate_id(certificate, device->certificate_id);

    const char *id_field = strcmp(request_topic, TOPIC_ENROLL) == 0 ? "request_id" : "rotation_id";
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, id_field, cJSON_GetStringValue(cJSON_GetObjectItem(request, id_field)));
    cJSON_AddStringToObject(answer, "certificate", certificate);
    cJSON_AddStringToObject(answer, "chain", device->pki.chain_pem);
    cJSON_AddStringToObject(answer, "certificate_id", device->certificate_id);
    if (strcmp(request_topic, TOPIC_ENROLL) == 0) {
        cJSON_AddStringToObject(answer, "time", "2027-01-15T08:00:00Z");
    }
    free(certificate);
    cJSON_Delete(request);
    return message_text(answer);
}

char *cloud_answer_csr(test_device_t *device)
{
    const test_leaf_t leaf = pki_good_leaf();
    return cloud_answer(device, TOPIC_CSR, &leaf);
}

char *cloud_push(test_device_t *device, const char *rotation_id, const char *certificate, const char *key_pem)
{
    pki_certificate_id(certificate, device->certificate_id);
    cJSON *order = cJSON_CreateObject();
    if (rotation_id != NULL) {
        cJSON_AddStringToObject(order, "rotation_id", rotation_id);
    }
    cJSON_AddStringToObject(order, "new_certificate", certificate);
    cJSON_AddStringToObject(order, "new_private_key", key_pem);
    cJSON_AddStringToObject(order, "chain", device->pki.chain_pem);
    return message_text(order);
}

char *cloud_push_good(test_device_t *device, const char *rotation_id)
{
    EVP_PKEY *key = pki_ec_key("P-256");
    const test_leaf_t leaf = pki_good_leaf();
    char *certificate = pki_issue(&device->pki.issuing, key, &leaf);
    char *key_pem = pki_key_pem(key);
    char *order = cloud_push(device, rotation_id, certificate, key_pem);
    EVP_PKEY_free(key);
    free(certificate);
    free(key_pem);
    return order;
}

char *cloud_commit(test_device_t *device, const char *rotation_id)
{
    cJSON *order = cJSON_CreateObject();
    cJSON_AddStringToObject(order, "rotation_id", rotation_id);
    cJSON_AddStringToObject(order, "certificate_id", device->certificate_id);
    return message_text(order);
}

char *cloud_trust(const test_authority_t *signer, uint32_t version, char *const *pems, size_t count)
{
    char text[1024];
    char id[CERT_ID_LEN + 1];
    int len = snprintf(text, sizeof(text), "fleetpki-trust-anchors\n%u\n", version);
    cJSON *order = cJSON_CreateObject();
    cJSON_AddNumberToObject(order, "version", version);
    cJSON *anchors = cJSON_AddArrayToObject(order, "anchors");
    for (size_t i = 0; i < count; i++) {
        cJSON_AddItemToArray(anchors, cJSON_CreateString(pems[i]));
        pki_certificate_id(pems[i], id);
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%s\n", id);
    }
    char *signature = pki_sign_text(signer, text);
    cJSON_AddStringToObject(order, "signature", signature);
    free(signature);
    return message_text(order);
}

char *cloud_trust_good(test_device_t *device, uint32_t version)
{
    char *pems[] = { pki_authority_pem(&device->pki.root), pki_authority_pem(&device->pki.foreign_root) };
    char *order = cloud_trust(&device->pki.root, version, pems, sizeof(pems) / sizeof(pems[0]));
    free(pems[0]);
    free(pems[1]);
    return order;
}
