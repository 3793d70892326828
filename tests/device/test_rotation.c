/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "test_device.h"
#include "testing.h"

#define ROTATE_BY_CSR(id, key) "{\"rotation_id\":\"" id "\",\"mode\":\"csr\",\"key\":\"" key "\"}"

/** An enrolled device, online with its own certificate. */
static int setup_online(void **state)
{
    test_device_setup(state);
    device_enroll(*state);
    return 0;
}

static char *good_answer(test_device_t *device)
{
    const test_leaf_t leaf = pki_good_leaf();
    return cloud_answer(device, TOPIC_CSR, &leaf);
}

/** Online with a pushed certificate that waits for its commit. */
static void begin_trial(test_device_t *device, const char *rotation_id)
{
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, rotation_id));
    device_connected(device);
    assert_int_equal(device->agent.using, CERT_IDENTITY_TRIAL);
}

/** The device is who it was: generation 1 in slot A, nothing on trial. */
static void assert_unchanged(test_device_t *device)
{
    assert_int_equal(device->agent.record.current, CERT_SLOT_A);
    assert_int_equal(device->agent.record.trial, CERT_SLOT_NONE);
    assert_int_equal(device->agent.record.generation, 1);
}

/* ---------------------------------------------------------------- by certification request */

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

    device_receive_from(device, TOPIC_ISSUED, good_answer(device));
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
    device_receive_from(device, TOPIC_ISSUED, good_answer(device));
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
    assert_memory_equal(device->fake.connect.key, old_key, device->fake.connect.key_len);
}

static void test_the_same_order_twice_asks_for_the_same_key(void **state)
{
    test_device_t *device = *state;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "ec-p256"));
    char *answer = good_answer(device);
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "ec-p256"));
    assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_CSR), 2);
    device_receive_from(device, TOPIC_ISSUED, answer);
    assert_said(device, TOPIC_STATUS, "state", "staged");
}

static void test_a_request_survives_a_restart(void **state)
{
    test_device_t *device = *state;
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "ec-p256"));
    char *answer = good_answer(device);
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
    char *answer = good_answer(device);
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
    char *answer = good_answer(device);
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r2", "ec-p256")); /* a later order takes over */
    device_receive_from(device, TOPIC_ISSUED, answer);
    assert_rejected(device, "stale");
    assert_said(device, TOPIC_STATUS, "rotation_id", "r1");
    device_receive_from(device, TOPIC_ISSUED, good_answer(device));
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

/* ---------------------------------------------------------------- pushed */

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
    char *answer = good_answer(device);
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
    begin_trial(device, "r1");
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
    begin_trial(device, "r1");
    fake_port_forget(&device->fake);
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r2"));
    assert_said(device, TOPIC_STATUS, "code", "busy");
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r3", "same"));
    assert_said(device, TOPIC_STATUS, "code", "busy");
    assert_said(device, TOPIC_STATUS, "rotation_id", "r3");
    assert_int_equal(device->agent.record.trial, CERT_SLOT_B);
    assert_int_equal(device->agent.phase, CERT_PHASE_ONLINE);
}

/* ---------------------------------------------------------------- trial */

static void test_without_a_commit_both_identities_are_kept_and_the_device_asks_again(void **state)
{
    test_device_t *device = *state;
    begin_trial(device, "r1");
    fake_port_forget(&device->fake);
    for (int i = 0; i < 50; i++) {
        device_wait(device);
    }
    assert_in_range(fake_port_count_messages(&device->fake, TOPIC_STATUS), 5, 50);
    assert_said(device, TOPIC_STATUS, "state", "connected");
    assert_said(device, TOPIC_STATUS, "rotation_id", "r1");
    assert_int_equal(device->agent.record.current, CERT_SLOT_A);
    assert_int_equal(device->agent.record.trial, CERT_SLOT_B);
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
    assert_said(device, TOPIC_STATUS, "state", "committed");
}

static void test_a_lost_commit_is_made_up_for_after_a_restart(void **state)
{
    test_device_t *device = *state;
    begin_trial(device, "r1");
    device_power_cycle(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
    device_connected(device);
    assert_said(device, TOPIC_STATUS, "state", "connected");
    assert_said(device, TOPIC_STATUS, "rotation_id", "r1");
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
    assert_int_equal(device->agent.record.current, CERT_SLOT_B);
}

static void test_a_commit_of_another_certificate_is_not_obeyed(void **state)
{
    test_device_t *device = *state;
    begin_trial(device, "r1");
    char *right = cloud_commit(device, "r1");
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r2"));
    assert_said(device, TOPIC_STATUS, "code", "stale");
    device->certificate_id[0] ^= 1;
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
    assert_said(device, TOPIC_STATUS, "code", "stale");
    device_receive(device, TOPIC_COMMIT, "{\"rotation_id\":\"r1\"}");
    assert_said(device, TOPIC_STATUS, "code", "bad_message");
    assert_int_equal(device->agent.record.trial, CERT_SLOT_B);
    device_receive_from(device, TOPIC_COMMIT, right);
    assert_int_equal(device->agent.record.current, CERT_SLOT_B);
}

static void test_a_commit_that_cannot_be_stored_is_asked_for_again(void **state)
{
    test_device_t *device = *state;
    begin_trial(device, "r1");
    fake_port_forget(&device->fake);
    device->fake.write_status = CERT_ERR_STORAGE;
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
    assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_STATUS), 0);
    device->fake.write_status = CERT_OK;
    device_wait(device);
    assert_said(device, TOPIC_STATUS, "state", "connected");
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
    assert_said(device, TOPIC_STATUS, "state", "committed");
}

static void test_three_refusals_roll_back_and_the_cloud_is_told(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    for (int i = 0; i < CERT_TRIAL_LIMIT; i++) {
        assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
        device_failed(device, CERT_FAILURE_IDENTITY_REFUSED);
    }
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
    assert_unchanged(device);
    assert_null(fake_port_value(&device->fake, "slot_b"));
    fake_port_forget(&device->fake);
    device_connected(device);
    assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_STATUS), 2);
    cJSON *first = cJSON_Parse(device->fake.published[0].payload);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(first, "state")), "rolled_back");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(first, "rotation_id")), "r1");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(first, "code")), "not_allowed");
    cJSON_Delete(first);
    assert_said(device, TOPIC_STATUS, "state", "connected");
}

static void test_refusals_are_counted_across_power_cycles(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    device_failed(device, CERT_FAILURE_IDENTITY_REFUSED);
    device_power_cycle(device);
    device_failed(device, CERT_FAILURE_IDENTITY_REFUSED);
    device_power_cycle(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
    device_failed(device, CERT_FAILURE_IDENTITY_REFUSED);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
}

static void test_what_is_not_the_identitys_fault_never_ends_a_trial(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    unsigned changes = device->fake.changes;
    for (int i = 0; i < 100; i++) {
        device_failed(device, i % 2 == 0 ? CERT_FAILURE_NETWORK : CERT_FAILURE_SERVER_UNTRUSTED);
        assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
    }
    assert_int_equal(device->fake.changes, changes);
    device_connected(device);
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
    assert_said(device, TOPIC_STATUS, "state", "committed");
}

static void test_a_server_that_closes_without_a_word_ends_a_trial_only_if_the_old_identity_gets_through(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    for (int i = 0; i < CERT_AMBIGUOUS_LIMIT; i++) {
        assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
        device_failed(device, CERT_FAILURE_UNKNOWN);
    }
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
    device_failed(device, CERT_FAILURE_UNKNOWN); /* the server is at fault */
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
    for (int i = 0; i < CERT_AMBIGUOUS_LIMIT; i++) {
        device_failed(device, CERT_FAILURE_UNKNOWN);
    }
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
    device_connected(device); /* the trial is */
    assert_unchanged(device);
    assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_STATUS) > 0, true);
}

static void test_a_boot_loop_during_a_trial_rolls_back(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    for (int boots = 1; boots < CERT_TRIAL_LIMIT; boots++) {
        device_boot(device); /* a crash: the boot-surviving RAM is still there */
        assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
    }
    device_boot(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
    assert_unchanged(device);
    device_connected(device);
    assert_int_equal(strstr(device->fake.published[device->fake.published_count - 2].payload, "rolled_back") != NULL,
                     true);
}

static void test_power_cycles_during_a_trial_neither_brick_nor_end_it_at_once(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    for (int i = 0; i < CERT_TRIAL_LIMIT + 1; i++) {
        device_power_cycle(device);
        assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
    }
    for (int i = 0; i < 30; i++) {
        device_power_cycle(device);
    }
    device_connected(device); /* as whoever it is: it gets through */
    assert_int_equal(device->agent.phase, CERT_PHASE_ONLINE);
}

static void test_a_trial_lost_from_the_store_falls_back(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    fake_port_value(&device->fake, "slot_b")->data[40] ^= 1;
    device_power_cycle(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
    assert_unchanged(device);
}

static void test_the_device_restarts_for_a_rotation_only_if_told_to(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    assert_int_equal(device->fake.restarts, 0);
    device_connected(device);
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
    device->config.reboot_on_rotation = true;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r2"));
    assert_int_equal(device->fake.restarts, 1);
    device_boot(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
}

/* ---------------------------------------------------------------- renewal by the device itself */

static void test_a_certificate_near_its_end_is_renewed_without_being_told(void **state)
{
    test_device_t *device = *state;
    device->fake.clock = TEST_NOW + 300 * TEST_DAY;
    device_wait(device);
    assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_CSR), 0);
    device->fake.clock = TEST_NOW + 320 * TEST_DAY;
    device_wait(device);
    assert_said(device, TOPIC_CSR, "reason", "expiring");
    device_receive_from(device, TOPIC_ISSUED, good_answer(device));
    assert_said(device, TOPIC_STATUS, "state", "staged");
}

static void test_a_renewal_is_not_asked_for_again_and_again(void **state)
{
    test_device_t *device = *state;
    device->fake.clock = TEST_NOW + 320 * TEST_DAY;
    for (int i = 0; i < 120; i++) {
        device_wait(device); /* two hours in steps of up to a minute */
    }
    assert_in_range(fake_port_count_messages(&device->fake, TOPIC_CSR), 2, 20);
}

static void test_a_clock_that_is_not_known_renews_nothing(void **state)
{
    test_device_t *device = *state;
    device->fake.clock = 0;
    for (int i = 0; i < 10; i++) {
        device_wait(device);
    }
    assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_CSR), 0);
}

#define ONLINE(test) cmocka_unit_test_setup_teardown(test, setup_online, test_device_teardown)

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
        ONLINE(test_without_a_commit_both_identities_are_kept_and_the_device_asks_again),
        ONLINE(test_a_lost_commit_is_made_up_for_after_a_restart),
        ONLINE(test_a_commit_of_another_certificate_is_not_obeyed),
        ONLINE(test_a_commit_that_cannot_be_stored_is_asked_for_again),
        ONLINE(test_three_refusals_roll_back_and_the_cloud_is_told),
        ONLINE(test_refusals_are_counted_across_power_cycles),
        ONLINE(test_what_is_not_the_identitys_fault_never_ends_a_trial),
        ONLINE(test_a_server_that_closes_without_a_word_ends_a_trial_only_if_the_old_identity_gets_through),
        ONLINE(test_a_boot_loop_during_a_trial_rolls_back),
        ONLINE(test_power_cycles_during_a_trial_neither_brick_nor_end_it_at_once),
        ONLINE(test_a_trial_lost_from_the_store_falls_back),
        ONLINE(test_the_device_restarts_for_a_rotation_only_if_told_to),
        ONLINE(test_a_certificate_near_its_end_is_renewed_without_being_told),
        ONLINE(test_a_renewal_is_not_asked_for_again_and_again),
        ONLINE(test_a_clock_that_is_not_known_renews_nothing),
    };
    return RUN_TESTS(tests);
}
