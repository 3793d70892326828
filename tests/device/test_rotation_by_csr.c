/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/* A rotation on a key that the device makes. */
#include <stdlib.h>

#include "test_device.h"
#include "testing.h"

static void test_it_listens_to_exactly_its_own_topics(void **state)
{
    test_device_t *device = *state;
    static const char *const topics[] = {
        TOPIC_ROTATE, TOPIC_ISSUED, TOPIC_ROTATION_REJECTED, TOPIC_COMMIT, "devices/" TEST_DEVICE "/certs/trust",
    };
    device_power_cycle(device);
    device_connected(device);
    for (size_t i = 0; i < COUNT(topics); i++) {
        assert_true(fake_port_is_subscribed(&device->fake, topics[i]));
    }
    assert_int_equal(device->fake.subscribed_count, COUNT(topics));
}

static void test_a_rotation_by_csr_from_order_to_commit(void **state)
{
    test_device_t *device = *state;
    uint8_t old_key[CERT_KEY_MAX];
    memcpy(old_key, device->agent.identity.key, sizeof(old_key));

    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "ec-p256"));
    assert_said(device, TOPIC_STATUS, "state", "accepted");
    assert_said(device, TOPIC_STATUS, "rotation_id", "r1");
    assert_said(device, TOPIC_CSR, "rotation_id", "r1");

    device_receive_from(device, TOPIC_ISSUED, cloud_answer_csr(device));
    assert_said(device, TOPIC_STATUS, "state", "staged");
    assert_said(device, TOPIC_STATUS, "certificate_id", device->certificate_id);
    assert_int_equal(device->fake.disconnects, 1);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
    assert_true(
        pki_key_belongs(device->fake.connect.key, device->fake.connect.key_len, device->fake.connect.chain_pem));
    assert_memory_not_equal(device->fake.connect.key, old_key, device->fake.connect.key_len);

    device_connected(device);
    assert_said(device, TOPIC_STATUS, "state", "connected");
    assert_said(device, TOPIC_STATUS, "rotation_id", "r1");
    assert_int_equal(device->agent.using, CERT_IDENTITY_TRIAL);

    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
    assert_said(device, TOPIC_STATUS, "state", "committed");
    assert_int_equal(device->agent.record.current, CERT_SLOT_B);
    assert_int_equal(device->agent.record.trial, CERT_SLOT_NONE);
    assert_int_equal(device->agent.record.generation, 2);
    assert_null(fake_port_value(&device->fake, "slot_a"));
    assert_int_equal(device->agent.phase, CERT_PHASE_ONLINE);
}

static void test_the_key_is_the_one_ordered(void **state)
{
    test_device_t *device = *state;
    static const struct {
        const char *order;
        int id;
        int bits;
    } rows[] = {
        {ROTATE_BY_CSR("r1", "ec-p256"), EVP_PKEY_EC, 256},
        {ROTATE_BY_CSR("r2", "rsa-2048"), EVP_PKEY_RSA, 2048},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        device_receive(device, TOPIC_ROTATE, rows[i].order);
        cJSON *request = device_said(device, TOPIC_CSR);
        EVP_PKEY *key = pki_csr_key(cJSON_GetStringValue(cJSON_GetObjectItem(request, "csr")), NULL);
        assert_int_equal(EVP_PKEY_get_base_id(key), rows[i].id);
        assert_int_equal(EVP_PKEY_get_bits(key), rows[i].bits);
        EVP_PKEY_free(key);
        cJSON_Delete(request);
    }
}

static void test_a_renewal_keeps_the_key(void **state)
{
    test_device_t *device = *state;
    uint8_t old_key[CERT_KEY_MAX];
    memcpy(old_key, device->agent.identity.key, sizeof(old_key));
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "same"));
    device_receive_from(device, TOPIC_ISSUED, cloud_answer_csr(device));
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
    assert_memory_equal(device->fake.connect.key, old_key, device->fake.connect.key_len);
}

static void test_the_same_order_twice_asks_for_the_same_key(void **state)
{
    test_device_t *device = *state;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "ec-p256"));
    char *answer = cloud_answer_csr(device);
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "ec-p256"));
    assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_CSR), 2);
    device_receive_from(device, TOPIC_ISSUED, answer);
    assert_said(device, TOPIC_STATUS, "state", "staged");
}

static void test_a_request_survives_a_restart(void **state)
{
    test_device_t *device = *state;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "ec-p256"));
    char *answer = cloud_answer_csr(device);
    device_power_cycle(device);
    device_connected(device);
    device_receive_from(device, TOPIC_ISSUED, answer);
    assert_said(device, TOPIC_STATUS, "state", "staged");
}

static void test_a_request_without_answer_is_repeated_a_few_times(void **state)
{
    test_device_t *device = *state;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "ec-p256"));
    for (int i = 0; i < 60; i++) {
        device_wait(device);
    }
    assert_in_range(fake_port_count_messages(&device->fake, TOPIC_CSR), 3, 10);
    assert_int_equal(device->agent.phase, CERT_PHASE_ONLINE);
    assert_unchanged(device);
}

static void test_a_refused_request_ends_the_rotation(void **state)
{
    test_device_t *device = *state;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "ec-p256"));
    char *answer = cloud_answer_csr(device);
    device_receive(device, TOPIC_ROTATION_REJECTED,
                   "{\"rotation_id\":\"r1\",\"code\":\"not_allowed\",\"message\":\"no\"}");
    assert_true(fake_port_has_logged(&device->fake, "code=not_allowed"));
    device_receive_from(device, TOPIC_ISSUED, answer);
    assert_rejected(device, "stale");
}

static void test_an_answer_nobody_waits_for_is_stale(void **state)
{
    test_device_t *device = *state;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "ec-p256"));
    char *answer = cloud_answer_csr(device);
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r2", "ec-p256")); /* a later order takes over */
    device_receive_from(device, TOPIC_ISSUED, answer);
    assert_rejected(device, "stale");
    assert_said(device, TOPIC_STATUS, "rotation_id", "r1");
    device_receive_from(device, TOPIC_ISSUED, cloud_answer_csr(device));
    assert_said(device, TOPIC_STATUS, "state", "staged");
    assert_said(device, TOPIC_STATUS, "rotation_id", "r2");
}

static void test_a_certificate_for_another_key_is_a_mismatch(void **state)
{
    test_device_t *device = *state;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "ec-p256"));
    EVP_PKEY *other = pki_ec_key("P-256");
    const test_leaf_t leaf = pki_good_leaf();
    char *certificate = pki_issue(&device->pki.issuing, other, &leaf);
    cJSON *answer = cJSON_CreateObject();
    char id[CERT_ID_LEN + 1];
    pki_certificate_id(certificate, id);
    cJSON_AddStringToObject(answer, "rotation_id", "r1");
    cJSON_AddStringToObject(answer, "certificate", certificate);
    cJSON_AddStringToObject(answer, "chain", device->pki.chain_pem);
    cJSON_AddStringToObject(answer, "certificate_id", id);
    char *text = cJSON_PrintUnformatted(answer);
    device_receive_from(device, TOPIC_ISSUED, text);
    assert_rejected(device, "key_mismatch");
    cJSON_Delete(answer);
    free(certificate);
    EVP_PKEY_free(other);
}

static void test_an_order_past_its_deadline_is_refused(void **state)
{
    test_device_t *device = *state;
    device_receive(device, TOPIC_ROTATE,
                   "{\"rotation_id\":\"r1\",\"mode\":\"csr\",\"key\":\"same\",\"deadline\":\"2027-01-15T07:59:59Z\"}");
    assert_rejected(device, "deadline_passed");
    device_receive(device, TOPIC_ROTATE,
                   "{\"rotation_id\":\"r2\",\"mode\":\"csr\",\"key\":\"same\",\"deadline\":\"2027-01-15T08:00:01Z\"}");
    assert_said(device, TOPIC_STATUS, "state", "accepted");
}

static void test_a_key_type_unheard_of_is_unsupported(void **state)
{
    test_device_t *device = *state;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "ml-dsa-65"));
    assert_rejected(device, "unsupported");
    assert_said(device, TOPIC_STATUS, "rotation_id", "r1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONLINE(test_it_listens_to_exactly_its_own_topics),
        ONLINE(test_a_rotation_by_csr_from_order_to_commit),
        ONLINE(test_the_key_is_the_one_ordered),
        ONLINE(test_a_renewal_keeps_the_key),
        ONLINE(test_the_same_order_twice_asks_for_the_same_key),
        ONLINE(test_a_request_survives_a_restart),
        ONLINE(test_a_request_without_answer_is_repeated_a_few_times),
        ONLINE(test_a_refused_request_ends_the_rotation),
        ONLINE(test_an_answer_nobody_waits_for_is_stale),
        ONLINE(test_a_certificate_for_another_key_is_a_mismatch),
        ONLINE(test_an_order_past_its_deadline_is_refused),
        ONLINE(test_a_key_type_unheard_of_is_unsupported),
    };
    return RUN_TESTS(tests);
}
