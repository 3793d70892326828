/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/* A rotation whose key and certificate the cloud sends. */
#include <stdlib.h>

#include "test_device.h"
#include "testing.h"

static void test_a_pushed_certificate_from_order_to_commit(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    assert_said(device, TOPIC_STATUS, "state", "staged");
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
    device_connected(device);
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
    assert_said(device, TOPIC_STATUS, "state", "committed");
    assert_int_equal(device->agent.record.current, CERT_SLOT_B);
    assert_int_equal(device->agent.record.generation, 2);
}

static void test_without_an_id_the_certificate_id_is_the_rotation_id(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, NULL));
    assert_said(device, TOPIC_STATUS, "state", "staged");
    assert_said(device, TOPIC_STATUS, "rotation_id", device->certificate_id);
    device_connected(device);
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, device->certificate_id));
    assert_said(device, TOPIC_STATUS, "state", "committed");
}

static void test_a_pushed_key_of_every_kind_is_taken(void **state)
{
    test_device_t *device = *state;
    EVP_PKEY *const keys[] = {pki_ec_key("P-256"), pki_ec_key("P-384"), pki_rsa_key(2048)};
    for (size_t i = 0; i < COUNT(keys); i++) {
        const test_leaf_t leaf = pki_good_leaf();
        char *certificate = pki_issue(&device->pki.issuing, keys[i], &leaf);
        char *key_pem = pki_key_pem(keys[i]);
        device_receive_from(device, TOPIC_ROTATE, cloud_push(device, NULL, certificate, key_pem));
        assert_said(device, TOPIC_STATUS, "state", "staged");
        assert_true(pki_key_belongs(device->fake.connect.key, device->fake.connect.key_len, certificate));
        device_connected(device);
        device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, device->certificate_id));
        assert_said(device, TOPIC_STATUS, "state", "committed");
        free(certificate);
        free(key_pem);
        EVP_PKEY_free(keys[i]);
    }
    assert_int_equal(device->agent.record.generation, 1 + COUNT(keys));
}

/** Push the certificate `leaf` describes, and its key unless `key_pem` says another. */
static void push(test_device_t *device, const test_authority_t *issuer, const test_leaf_t *leaf, const char *key_pem)
{
    EVP_PKEY *key = pki_ec_key("P-256");
    char *certificate = pki_issue(issuer, key, leaf);
    char *own_key_pem = pki_key_pem(key);
    device_receive_from(device, TOPIC_ROTATE,
                        cloud_push(device, "r1", certificate, key_pem != NULL ? key_pem : own_key_pem));
    EVP_PKEY_free(key);
    free(own_key_pem);
    free(certificate);
}

static void test_every_bad_push_is_rejected_with_its_code_and_changes_nothing(void **state)
{
    test_device_t *device = *state;
    EVP_PKEY *other = pki_ec_key("P-256");
    char *other_key = pki_key_pem(other);
    test_leaf_t expired = pki_good_leaf();
    expired.not_after = TEST_NOW - 1;
    test_leaf_t future = pki_good_leaf();
    future.not_before = TEST_NOW + TEST_DAY;
    test_leaf_t old = pki_good_leaf();
    old.not_before = TEST_NOW - 300 * TEST_DAY;
    test_leaf_t other_device = pki_good_leaf();
    other_device.common_name = "pump-0043";
    test_leaf_t server = pki_good_leaf();
    server.client_auth = false;
    const test_leaf_t good = pki_good_leaf();
    const struct {
        const test_authority_t *issuer;
        const test_leaf_t *leaf;
        const char *key_pem;
        const char *code;
    } rows[] = {
        {&device->pki.issuing, &good, other_key, "key_mismatch"},
        {&device->pki.issuing, &good, "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n",
         "bad_message"},
        {&device->pki.foreign_root, &good, NULL, "untrusted"},
        {&device->pki.issuing, &server, NULL, "untrusted"},
        {&device->pki.issuing, &other_device, NULL, "wrong_subject"},
        {&device->pki.issuing, &expired, NULL, "expired"},
        {&device->pki.issuing, &future, NULL, "not_yet_valid"},
        {&device->pki.issuing, &old, NULL, "stale"},
    };
    unsigned changes = device->fake.changes;
    for (size_t i = 0; i < COUNT(rows); i++) {
        push(device, rows[i].issuer, rows[i].leaf, rows[i].key_pem);
        assert_rejected(device, rows[i].code);
        assert_said(device, TOPIC_STATUS, "rotation_id", "r1");
    }
    assert_int_equal(device->fake.changes, changes);
    assert_unchanged(device);
    free(other_key);
    EVP_PKEY_free(other);
}

static void test_every_broken_message_is_bad_message_and_changes_nothing(void **state)
{
    test_device_t *device = *state;
    static const char *const texts[] = {
        "",
        "{",
        "not json",
        "[]",
        "{}",
        "{\"new_certificate\":\"x\"}",
        "{\"new_certificate\":\"-----BEGIN CERTIFICATE-----\nMIIB\"}",
        "{\"new_certificate\":\"x\",\"new_private_key\":\"y\"}",
        "{\"mode\":\"csr\"}",
        "{\"rotation_id\":{},\"mode\":\"csr\",\"key\":\"same\"}",
    };
    unsigned changes = device->fake.changes;
    for (size_t i = 0; i < COUNT(texts); i++) {
        device_receive(device, TOPIC_ROTATE, texts[i]);
        assert_rejected(device, "bad_message");
    }
    assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_STATUS), COUNT(texts));
    assert_int_equal(device->fake.changes, changes);
    assert_unchanged(device);
}

static void test_64_kilobytes_of_garbage_are_bad_message(void **state)
{
    test_device_t *device = *state;
    char *garbage = malloc(65537);
    memset(garbage, '{', 65536);
    garbage[65536] = '\0';
    device_receive_from(device, TOPIC_ROTATE, garbage);
    assert_rejected(device, "bad_message");
}

static void test_the_certificate_in_use_pushed_again_is_stale(void **state)
{
    test_device_t *device = *state;
    char *order = cloud_push_good(device, "r1");
    device_receive(device, TOPIC_ROTATE, order);
    device_connected(device);
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
    fake_port_forget(&device->fake);
    cJSON *again = cJSON_Parse(order);
    cJSON_ReplaceItemInObject(again, "rotation_id", cJSON_CreateString("r2"));
    char *text = cJSON_PrintUnformatted(again);
    device_receive_from(device, TOPIC_ROTATE, text);
    assert_rejected(device, "stale");
    cJSON_Delete(again);
    free(order);
}

static void test_a_full_store_rejects_and_changes_nothing(void **state)
{
    test_device_t *device = *state;
    device->fake.write_status = CERT_ERR_STORAGE_FULL;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    assert_rejected(device, "storage_full");
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r2", "ec-p256"));
    assert_rejected(device, "storage_full");
    device->fake.write_status = CERT_OK;
    device_power_cycle(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
    assert_unchanged(device);
}

static void test_a_store_that_cannot_be_read_is_no_stale_answer(void **state)
{
    test_device_t *device = *state;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "ec-p256"));
    char *answer = cloud_answer_csr(device);
    device->fake.read_status = CERT_ERR_STORAGE;
    device_receive(device, TOPIC_ISSUED, answer);
    assert_rejected(device, "storage_error");
    device->fake.read_status = CERT_OK;
    device_receive_from(device, TOPIC_ISSUED, answer);
    assert_said(device, TOPIC_STATUS, "state", "staged");
}


/* ---------------------------------------------------------------- duplicates */

static void test_a_repeated_push_during_its_trial_gets_the_same_answer(void **state)
{
    test_device_t *device = *state;
    char *order = cloud_push_good(device, "r1");
    device_receive(device, TOPIC_ROTATE, order);
    device_connected(device);
    fake_port_forget(&device->fake);
    device_receive_from(device, TOPIC_ROTATE, order);
    assert_said(device, TOPIC_STATUS, "state", "connected");
    assert_said(device, TOPIC_STATUS, "rotation_id", "r1");
    assert_int_equal(device->fake.disconnects, 0);
}

static void test_a_repeated_push_after_its_commit_is_committed(void **state)
{
    test_device_t *device = *state;
    char *order = cloud_push_good(device, "r1");
    device_receive(device, TOPIC_ROTATE, order);
    device_connected(device);
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
    fake_port_forget(&device->fake);
    device_receive_from(device, TOPIC_ROTATE, order);
    assert_said(device, TOPIC_STATUS, "state", "committed");
    assert_int_equal(device->fake.disconnects, 0);
    assert_int_equal(device->agent.record.generation, 2);
}

static void test_a_repeated_commit_is_answered_again(void **state)
{
    test_device_t *device = *state;
    device_begin_trial(device, "r1");
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
    unsigned changes = device->fake.changes;
    fake_port_forget(&device->fake);
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
    assert_said(device, TOPIC_STATUS, "state", "committed");
    assert_int_equal(device->fake.changes, changes);
}

static void test_during_a_trial_another_rotation_is_busy(void **state)
{
    test_device_t *device = *state;
    device_begin_trial(device, "r1");
    fake_port_forget(&device->fake);
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r2"));
    assert_said(device, TOPIC_STATUS, "code", "busy");
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r3", "same"));
    assert_said(device, TOPIC_STATUS, "code", "busy");
    assert_said(device, TOPIC_STATUS, "rotation_id", "r3");
    assert_int_equal(device->agent.record.trial, CERT_SLOT_B);
    assert_int_equal(device->agent.phase, CERT_PHASE_ONLINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONLINE(test_a_pushed_certificate_from_order_to_commit),
        ONLINE(test_without_an_id_the_certificate_id_is_the_rotation_id),
        ONLINE(test_a_pushed_key_of_every_kind_is_taken),
        ONLINE(test_every_bad_push_is_rejected_with_its_code_and_changes_nothing),
        ONLINE(test_every_broken_message_is_bad_message_and_changes_nothing),
        ONLINE(test_64_kilobytes_of_garbage_are_bad_message),
        ONLINE(test_the_certificate_in_use_pushed_again_is_stale),
        ONLINE(test_a_full_store_rejects_and_changes_nothing),
        ONLINE(test_a_store_that_cannot_be_read_is_no_stale_answer),
        ONLINE(test_a_repeated_push_during_its_trial_gets_the_same_answer),
        ONLINE(test_a_repeated_push_after_its_commit_is_committed),
        ONLINE(test_a_repeated_commit_is_answered_again),
        ONLINE(test_during_a_trial_another_rotation_is_busy),
    };
    return RUN_TESTS(tests);
}
