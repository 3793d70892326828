/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "test_device.h"
#include "testing.h"

static bool trusts_foreign_root(test_device_t *device)
{
    char *pem = pki_authority_pem(&device->pki.foreign_root);
    bool found = strstr(device->fake.connect.anchors_pem, pem) != NULL;
    free(pem);
    return found;
}

static double said_version(test_device_t *device)
{
    cJSON *status = device_said(device, TOPIC_STATUS);
    double version = cJSON_GetNumberValue(cJSON_GetObjectItem(status, "trust_version"));
    cJSON_Delete(status);
    return version;
}

static void test_the_anchors_from_the_factory_are_version_0(void **state)
{
    test_device_t *device = *state;
    device_power_cycle(device);
    device_connected(device);
    assert_int_equal(said_version(device), 0);
    assert_false(trusts_foreign_root(device));
}

static void test_signed_anchors_prove_themselves_at_the_next_connection(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_TRUST, cloud_trust_good(device, 1));
    assert_int_equal(device->fake.disconnects, 1);
    assert_true(trusts_foreign_root(device));
    device_connected(device);
    assert_int_equal(said_version(device), 1);
    device_power_cycle(device);
    assert_true(trusts_foreign_root(device));
    device_connected(device);
    assert_int_equal(said_version(device), 1);
}

static void test_a_certificate_below_a_new_anchor_is_accepted(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_TRUST, cloud_trust_good(device, 1));
    device_connected(device);
    EVP_PKEY *key = pki_ec_key("P-256");
    const test_leaf_t leaf = pki_good_leaf();
    char *certificate = pki_issue(&device->pki.foreign_root, key, &leaf);
    char *key_pem = pki_key_pem(key);
    device_receive_from(device, TOPIC_ROTATE, cloud_push(device, "r1", certificate, key_pem));
    assert_said(device, TOPIC_STATUS, "state", "staged");
    free(certificate);
    free(key_pem);
    EVP_PKEY_free(key);
}

static void test_the_same_anchors_twice_change_nothing(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_TRUST, cloud_trust_good(device, 1));
    device_connected(device);
    unsigned changes = device->fake.changes;
    fake_port_forget(&device->fake);
    device_receive_from(device, TOPIC_TRUST, cloud_trust_good(device, 1));
    assert_said(device, TOPIC_STATUS, "state", "connected");
    assert_int_equal(device->fake.disconnects, 0);
    assert_int_equal(device->fake.changes, changes);
}

static void test_older_anchors_are_stale(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_TRUST, cloud_trust_good(device, 7));
    device_connected(device);
    fake_port_forget(&device->fake);
    device_receive_from(device, TOPIC_TRUST, cloud_trust_good(device, 6));
    assert_rejected(device, "stale");
}

static void test_anchors_not_signed_by_a_current_one_are_untrusted(void **state)
{
    test_device_t *device = *state;
    char *pems[] = {pki_authority_pem(&device->pki.foreign_root)};
    const test_authority_t *const signers[] = {&device->pki.foreign_root, &device->pki.issuing, &device->pki.bootstrap};
    unsigned changes = device->fake.changes;
    for (size_t i = 0; i < COUNT(signers); i++) {
        device_receive_from(device, TOPIC_TRUST, cloud_trust(signers[i], 1, pems, COUNT(pems)));
        assert_rejected(device, "untrusted");
    }
    assert_int_equal(device->fake.changes, changes);
    free(pems[0]);
}

/** A certificate as a block of another kind, which OpenSSL reads and mbedTLS skips. */
static char *as_x509_certificate(char *pem)
{
    size_t len = strlen(pem) + 64;
    char *other = malloc(len);
    const char *body = strchr(pem, '\n') + 1;
    int body_len = (int)(strstr(body, "-----END") - body);
    snprintf(other, len, "-----BEGIN X509 CERTIFICATE-----\n%.*s-----END X509 CERTIFICATE-----\n", body_len, body);
    free(pem);
    return other;
}

static void test_nobody_adds_to_signed_anchors(void **state)
{
    test_device_t *device = *state;
    unsigned changes = device->fake.changes;
    char *root = pki_authority_pem(&device->pki.root);
    char *added[] = {as_x509_certificate(pki_authority_pem(&device->pki.foreign_root)), strdup("# a remark\n")};
    for (size_t i = 0; i < COUNT(added); i++) {
        for (int first = 0; first <= 1; first++) {
            char *order = cloud_trust(&device->pki.root, 1, &root, 1);
            cJSON *tree = cJSON_Parse(order);
            cJSON *anchors = cJSON_GetObjectItem(tree, "anchors");
            cJSON_InsertItemInArray(anchors, first ? 0 : 1, cJSON_CreateString(added[i]));
            free(order);
            device_receive_from(device, TOPIC_TRUST, cJSON_PrintUnformatted(tree));
            assert_rejected(device, "bad_message");
            cJSON_Delete(tree);
        }
        free(added[i]);
    }
    assert_int_equal(device->fake.changes, changes);
    free(root);
}

static void test_the_signature_covers_the_version_and_every_anchor(void **state)
{
    test_device_t *device = *state;
    char *order = cloud_trust_good(device, 1);
    cJSON *message = cJSON_Parse(order);
    cJSON_ReplaceItemInObject(message, "version", cJSON_CreateNumber(2));
    device_receive_from(device, TOPIC_TRUST, cJSON_PrintUnformatted(message));
    assert_rejected(device, "untrusted");
    cJSON_Delete(message);
    message = cJSON_Parse(order);
    cJSON_DeleteItemFromArray(cJSON_GetObjectItem(message, "anchors"), 1);
    device_receive_from(device, TOPIC_TRUST, cJSON_PrintUnformatted(message));
    assert_rejected(device, "untrusted");
    cJSON_Delete(message);
    free(order);
}

static void test_what_can_be_no_anchor_is_refused_though_it_is_signed(void **state)
{
    test_device_t *device = *state;
    EVP_PKEY *key = pki_ec_key("P-256");
    const test_leaf_t leaf = pki_good_leaf();
    char *not_a_ca[] = {pki_issue(&device->pki.issuing, key, &leaf)};
    device_receive_from(device, TOPIC_TRUST, cloud_trust(&device->pki.root, 1, not_a_ca, 1));
    assert_rejected(device, "bad_message");
    free(not_a_ca[0]);
    EVP_PKEY_free(key);

    char *many[10];
    for (size_t i = 0; i < COUNT(many); i++) {
        many[i] = pki_authority_pem(&device->pki.root);
    }
    device_receive_from(device, TOPIC_TRUST, cloud_trust(&device->pki.root, 1, many, COUNT(many)));
    assert_rejected(device, "bad_message");
    for (size_t i = 0; i < COUNT(many); i++) {
        free(many[i]);
    }
}

static void test_a_broken_order_is_bad_message(void **state)
{
    test_device_t *device = *state;
    static const char *const texts[] = {
        "{}",
        "{\"version\":1}",
        "{\"version\":1,\"anchors\":[]}",
        "{\"version\":1,\"anchors\":\"x\",\"signature\":\"AA==\"}",
        "{\"version\":1,\"anchors\":[1],\"signature\":\"AA==\"}",
        "{\"version\":0,\"anchors\":[\"x\"],\"signature\":\"AA==\"}",
        "{\"version\":-1,\"anchors\":[\"x\"],\"signature\":\"AA==\"}",
        "{\"version\":1e30,\"anchors\":[\"x\"],\"signature\":\"AA==\"}",
        "{\"version\":\"1\",\"anchors\":[\"x\"],\"signature\":\"AA==\"}",
        "{\"version\":1,\"anchors\":[\"x\"],\"signature\":\"?\"}",
        "{\"version\":1,\"anchors\":[\"x\"],\"signature\":\"AA==\"}",
        "{\"version\":1,\"anchors\":[\"x\"]}",
    };
    unsigned changes = device->fake.changes;
    for (size_t i = 0; i < COUNT(texts); i++) {
        device_receive(device, TOPIC_TRUST, texts[i]);
        assert_rejected(device, "bad_message");
    }
    assert_int_equal(device->fake.changes, changes);
}

static void test_a_full_store_refuses_the_anchors(void **state)
{
    test_device_t *device = *state;
    device->fake.write_status = CERT_ERR_STORAGE_FULL;
    device_receive_from(device, TOPIC_TRUST, cloud_trust_good(device, 1));
    assert_rejected(device, "storage_full");
    assert_false(trusts_foreign_root(device));
}

/** Anchors with which no server of ours can be verified, though they are signed. */
static void lock_out(test_device_t *device)
{
    char *pems[] = {pki_authority_pem(&device->pki.foreign_root)};
    device_receive_from(device, TOPIC_TRUST, cloud_trust(&device->pki.root, 1, pems, COUNT(pems)));
    free(pems[0]);
}

static void test_anchors_that_verify_no_server_are_given_up(void **state)
{
    test_device_t *device = *state;
    lock_out(device);
    for (int i = 0; i < CERT_TRIAL_LIMIT; i++) {
        assert_true(trusts_foreign_root(device));
        device_failed(device, CERT_FAILURE_SERVER_UNTRUSTED);
    }
    assert_false(trusts_foreign_root(device));
    assert_string_equal(device->fake.connect.anchors_pem, device->pki.anchors_pem);
    device_connected(device);
    assert_int_equal(said_version(device), 0);
}

/** The last of the failures after which the anchors are given up, while the store fails. */
static void fail_last_with(test_device_t *device, cert_status_t read_status, cert_status_t write_status)
{
    lock_out(device);
    for (int i = 1; i < CERT_TRIAL_LIMIT; i++) {
        device_failed(device, CERT_FAILURE_SERVER_UNTRUSTED);
    }
    device->fake.read_status = read_status;
    device->fake.write_status = write_status;
    device_failed(device, CERT_FAILURE_SERVER_UNTRUSTED);
    device->fake.read_status = CERT_OK;
    while (device->agent.phase == CERT_PHASE_WAITING) {
        device_wait(device);
    }
}

static void test_anchors_given_up_while_the_store_cannot_be_read_are_given_up_at_the_next_attempt(void **state)
{
    test_device_t *device = *state;
    fail_last_with(device, CERT_ERR_STORAGE, CERT_OK);
    device_failed(device, CERT_FAILURE_SERVER_UNTRUSTED);
    assert_string_equal(device->fake.connect.anchors_pem, device->pki.anchors_pem);
    assert_null(fake_port_value(&device->fake, "trust_trial"));
    device_connected(device);
    assert_int_equal(said_version(device), 0);
    device_power_cycle(device);
    assert_string_equal(device->fake.connect.anchors_pem, device->pki.anchors_pem);
}

static void test_anchors_given_up_while_the_store_cannot_be_written_are_not_used_any_more(void **state)
{
    test_device_t *device = *state;
    fail_last_with(device, CERT_OK, CERT_ERR_STORAGE);
    assert_string_equal(device->fake.connect.anchors_pem, device->pki.anchors_pem);
    device_connected(device);
    assert_int_equal(said_version(device), 0);
}

static void test_a_device_that_loses_power_after_every_attempt_is_not_locked_out(void **state)
{
    test_device_t *device = *state;
    lock_out(device);
    for (int i = 0; i < 30 && trusts_foreign_root(device); i++) {
        cert_agent_disconnected(&device->agent, device->fake.connect.connection, CERT_FAILURE_SERVER_UNTRUSTED, NULL,
                                device->now_ms);
        device_power_cycle(device);
    }
    assert_string_equal(device->fake.connect.anchors_pem, device->pki.anchors_pem);
}

static void test_no_network_says_nothing_about_the_anchors(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_TRUST, cloud_trust_good(device, 1));
    for (int i = 0; i < 50; i++) {
        device_failed(device, CERT_FAILURE_NETWORK);
        assert_true(trusts_foreign_root(device));
    }
    device_connected(device);
    assert_int_equal(said_version(device), 1);
}

static void test_corrupt_anchors_are_replaced_by_those_from_the_factory(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_TRUST, cloud_trust_good(device, 1));
    device_connected(device);
    fake_port_value(&device->fake, "trust")->data[20] ^= 1;
    device_power_cycle(device);
    assert_string_equal(device->fake.connect.anchors_pem, device->pki.anchors_pem);
}

static void test_power_lost_at_any_change_leaves_one_set_or_the_other(void **state)
{
    (void)state;
    for (int power_left = 0; power_left < 5; power_left++) {
        void *own_state;
        test_device_setup_online(&own_state);
        test_device_t *device = own_state;
        device->fake.power_left = power_left;
        device_receive_from(device, TOPIC_TRUST, cloud_trust_good(device, 1));
        if (!device->fake.power_lost) {
            device_connected(device);
        }
        device_power_cycle(device);
        device_connected(device);
        assert_true(trusts_foreign_root(device) == (said_version(device) > 0));
        device_receive_from(device, TOPIC_TRUST, cloud_trust_good(device, 1));
        if (device->agent.phase == CERT_PHASE_CONNECTING) {
            device_connected(device);
        }
        assert_int_equal(said_version(device), 1);
        assert_null(fake_port_value(&device->fake, "trust_trial"));
        test_device_teardown(&own_state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONLINE(test_the_anchors_from_the_factory_are_version_0),
        ONLINE(test_signed_anchors_prove_themselves_at_the_next_connection),
        ONLINE(test_a_certificate_below_a_new_anchor_is_accepted),
        ONLINE(test_the_same_anchors_twice_change_nothing),
        ONLINE(test_older_anchors_are_stale),
        ONLINE(test_nobody_adds_to_signed_anchors),
        ONLINE(test_anchors_not_signed_by_a_current_one_are_untrusted),
        ONLINE(test_the_signature_covers_the_version_and_every_anchor),
        ONLINE(test_what_can_be_no_anchor_is_refused_though_it_is_signed),
        ONLINE(test_a_broken_order_is_bad_message),
        ONLINE(test_a_full_store_refuses_the_anchors),
        ONLINE(test_anchors_that_verify_no_server_are_given_up),
        ONLINE(test_anchors_given_up_while_the_store_cannot_be_read_are_given_up_at_the_next_attempt),
        ONLINE(test_anchors_given_up_while_the_store_cannot_be_written_are_not_used_any_more),
        ONLINE(test_a_device_that_loses_power_after_every_attempt_is_not_locked_out),
        ONLINE(test_no_network_says_nothing_about_the_anchors),
        ONLINE(test_corrupt_anchors_are_replaced_by_those_from_the_factory),
        cmocka_unit_test(test_power_lost_at_any_change_leaves_one_set_or_the_other),
    };
    return RUN_TESTS(tests);
}
