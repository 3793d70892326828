/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "test_device.h"
#include "testing.h"

/** A factory-new device that has just connected with the bootstrap certificate. */
static int setup_asking(void **state)
{
    test_device_setup(state);
    device_boot(*state);
    device_connected(*state);
    return 0;
}

/** Replace a field of a message; frees the old text. */
static char *change_field(char *text, const char *field, const char *value)
{
    cJSON *message = cJSON_Parse(text);
    free(text);
    cJSON_DeleteItemFromObject(message, field);
    if (value != NULL) {
        cJSON_AddStringToObject(message, field, value);
    }
    char *changed = cJSON_PrintUnformatted(message);
    cJSON_Delete(message);
    return changed;
}

static char *good_answer(test_device_t *device)
{
    const test_leaf_t leaf = pki_good_leaf();
    return cloud_answer(device, TOPIC_ENROLL, &leaf);
}

/** The device gave up this connection without an identity, and waits before it asks again. */
static void assert_gave_up(test_device_t *device)
{
    assert_int_equal(device->agent.phase, CERT_PHASE_WAITING);
    assert_int_equal(device->agent.record.trial, CERT_SLOT_NONE);
    assert_int_equal(device->fake.disconnects, 1);
    assert_int_equal(device->fake.connects, 1);
}

static void test_a_new_device_connects_with_what_it_got_in_the_factory(void **state)
{
    test_device_t *device = *state;
    device_boot(device);
    const fake_connect_t *connect = &device->fake.connect;
    assert_int_equal(device->fake.connects, 1);
    assert_int_equal(connect->identity, CERT_IDENTITY_BOOTSTRAP);
    assert_string_equal(connect->client_id, TEST_DEVICE);
    assert_string_equal(connect->chain_pem, device->pki.bootstrap_pem);
    assert_string_equal(connect->anchors_pem, device->pki.anchors_pem);
    assert_int_equal(connect->key_len, device->config.bootstrap_key_len);
    assert_memory_equal(connect->key, device->config.bootstrap_key, connect->key_len);
}

static void test_it_listens_before_it_asks(void **state)
{
    test_device_t *device = *state;
    char name[65];
    assert_true(fake_port_is_subscribed(&device->fake, TOPIC_ACCEPTED));
    assert_true(fake_port_is_subscribed(&device->fake, TOPIC_REJECTED));
    assert_int_equal(device->fake.subscribed_count, 2);
    cJSON *request = device_said(device, TOPIC_ENROLL);
    EVP_PKEY_free(pki_csr_key(cJSON_GetStringValue(cJSON_GetObjectItem(request, "csr")), name));
    assert_string_equal(name, TEST_DEVICE);
    cJSON *hardware = cJSON_GetObjectItem(request, "hardware");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(hardware, "model")), "test");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(hardware, "firmware")), "1.2.3");
    cJSON_Delete(request);
}

/** The proof in the request of a factory-new device that finds `len` bytes as its factory secret; the caller frees. */
static cJSON *proof_made_with(test_device_t *device, const uint8_t *secret, size_t len, char **csr)
{
    cert_port_t port = fake_port_make(&device->fake);
    assert_int_equal(port.kv_write(port.ctx, "factory_secret", secret, len), CERT_OK);
    device_boot(device);
    device_connected(device);
    cJSON *request = device_said(device, TOPIC_ENROLL);
    *csr = strdup(cJSON_GetStringValue(cJSON_GetObjectItem(request, "csr")));
    cJSON *proof = cJSON_DetachItemFromObject(request, "proof");
    cJSON_Delete(request);
    return proof;
}

static void test_a_device_with_a_factory_secret_proves_that_it_has_it(void **state)
{
    test_device_t *device = *state;
    uint8_t secret[32], expected[EVP_MAX_MD_SIZE], text[CERT_MESSAGE_MAX];
    unsigned char expected_base64[2 * EVP_MAX_MD_SIZE];
    unsigned expected_len;
    memset(secret, 0xA5, sizeof(secret));
    char *csr;
    cJSON *proof = proof_made_with(device, secret, sizeof(secret), &csr);
    int len = snprintf((char *)text, sizeof(text), "fleetpki-enroll\n%s\n%s", TEST_DEVICE, csr);
    assert_non_null(HMAC(EVP_sha256(), secret, sizeof(secret), text, (size_t)len, expected, &expected_len));
    EVP_EncodeBlock(expected_base64, expected, (int)expected_len);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(proof, "mac")), expected_base64);
    cJSON_Delete(proof);
    free(csr);
}

static void test_a_damaged_factory_secret_proves_nothing_and_stops_nothing(void **state)
{
    test_device_t *device = *state;
    const uint8_t secret[33] = { 1 };
    static const size_t wrong_lengths[] = { 31, 33 };
    for (size_t i = 0; i < 2; i++) {
        char *csr;
        assert_null(proof_made_with(device, secret, wrong_lengths[i], &csr));
        assert_true(fake_port_has_logged(&device->fake, "store: the factory secret cannot be used code="));
        free(csr);
    }
}

static void test_a_factory_reset_leaves_the_factory_secret(void **state)
{
    test_device_t *device = *state;
    const uint8_t secret[32] = { 1 };
    char *csr;
    cJSON_Delete(proof_made_with(device, secret, sizeof(secret), &csr));
    free(csr);
    assert_int_equal(cert_agent_factory_reset(&device->agent), CERT_OK);
    assert_non_null(fake_port_value(&device->fake, "factory_secret"));
}

static void test_the_private_key_is_in_no_message_and_no_log_line(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ACCEPTED, good_answer(device));
    for (unsigned i = 0; i < device->fake.published_count; i++) {
        assert_null(strstr(device->fake.published[i].payload, "PRIVATE"));
    }
    assert_false(fake_port_has_logged(&device->fake, "PRIVATE"));
    assert_false(fake_port_has_logged(&device->fake, "BEGIN"));
}

static void test_with_its_certificate_it_connects_anew_and_is_enrolled(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ACCEPTED, good_answer(device));
    const fake_connect_t *connect = &device->fake.connect;
    assert_int_equal(device->fake.disconnects, 1);
    assert_int_equal(connect->identity, CERT_IDENTITY_TRIAL);
    assert_true(pki_key_belongs(connect->key, connect->key_len, connect->chain_pem));
    device_connected(device);
    assert_int_equal(device->agent.using, CERT_IDENTITY_OPERATIONAL);
    assert_int_equal(device->agent.record.current, CERT_SLOT_A);
    assert_int_equal(device->agent.record.trial, CERT_SLOT_NONE);
    assert_int_equal(device->agent.record.generation, 1);
    assert_said(device, TOPIC_STATUS, "state", "connected");
    assert_said(device, TOPIC_STATUS, "certificate_id", device->certificate_id);
    assert_said(device, TOPIC_STATUS, "not_after", "2028-01-15T08:00:00Z");
}

static void test_an_enrolled_device_comes_back_with_its_own_certificate(void **state)
{
    test_device_t *device = *state;
    device_enroll(device);
    device_power_cycle(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
    device_connected(device);
    assert_said(device, TOPIC_STATUS, "state", "connected");
    assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_ENROLL), 0);
}

static void test_a_request_without_answer_is_repeated_as_it_was(void **state)
{
    test_device_t *device = *state;
    cJSON *first = device_said(device, TOPIC_ENROLL);
    char *answer = good_answer(device);
    fake_port_forget(&device->fake);
    device_wait(device);
    assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_ENROLL), 1);
    cJSON *second = device_said(device, TOPIC_ENROLL);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(first, "request_id")),
                        cJSON_GetStringValue(cJSON_GetObjectItem(second, "request_id")));
    cJSON_Delete(first);
    cJSON_Delete(second);
    device_receive_from(device, TOPIC_ACCEPTED, answer); /* made for the first one: the key is the same */
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
}

static void test_a_request_that_took_long_to_make_is_not_repeated_at_once(void **state)
{
    test_device_t *device = *state;
    device_boot(device);
    cert_agent_connected(&device->agent, device->fake.connect.connection, device->now_ms);
    fake_port_forget(&device->fake);
    device->now_ms += 150 * 1000; /* all of it went into the key */
    device_tick(device);
    assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_ENROLL), 0);
    device_wait(device);
    assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_ENROLL), 1);
}

static void test_a_request_survives_a_restart_with_its_key(void **state)
{
    test_device_t *device = *state;
    char *answer = good_answer(device);
    cJSON *first = device_said(device, TOPIC_ENROLL);
    device_power_cycle(device);
    device_connected(device);
    assert_said(device, TOPIC_ENROLL, "request_id", cJSON_GetStringValue(cJSON_GetObjectItem(first, "request_id")));
    cJSON_Delete(first);
    device_receive_from(device, TOPIC_ACCEPTED, answer);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
}

static void test_a_cloud_that_never_answers_is_left_and_tried_again_later(void **state)
{
    test_device_t *device = *state;
    for (int i = 0; i < 20 && device->fake.disconnects == 0; i++) {
        device_wait(device);
    }
    assert_int_equal(device->fake.disconnects, 1);
    assert_in_range(fake_port_count_messages(&device->fake, TOPIC_ENROLL), 2, 10);
}

static void test_the_same_answer_twice_makes_one_identity(void **state)
{
    test_device_t *device = *state;
    char *answer = good_answer(device);
    device_receive(device, TOPIC_ACCEPTED, answer);
    uint32_t connects = device->fake.connects;
    device_receive_from(device, TOPIC_ACCEPTED, answer);
    assert_int_equal(device->fake.connects, connects);
    device_connected(device);
    assert_int_equal(device->agent.record.generation, 1);
}

static void test_an_answer_to_another_request_is_ignored(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ACCEPTED, change_field(good_answer(device), "request_id", "somebody-elses"));
    assert_int_equal(device->agent.phase, CERT_PHASE_ONLINE);
    assert_int_equal(device->fake.disconnects, 0);
    device_receive_from(device, TOPIC_ACCEPTED, good_answer(device));
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
}

static void test_a_broken_answer_is_ignored(void **state)
{
    test_device_t *device = *state;
    static const char *const texts[] = {"", "{", "null", "{\"request_id\":1}", "{\"certificate\":\"x\"}"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        device_receive(device, TOPIC_ACCEPTED, texts[i]);
        device_receive(device, TOPIC_REJECTED, texts[i]);
    }
    assert_int_equal(device->agent.phase, CERT_PHASE_ONLINE);
    assert_int_equal(device->fake.disconnects, 0);
}

static void test_messages_on_other_topics_are_ignored(void **state)
{
    test_device_t *device = *state;
    static const char *const topics[] = {
        "",
        "bootstrap",
        TOPIC_ENROLL,
        "bootstrap/pump-0043/enroll/accepted",
        TOPIC_ACCEPTED "/x",
        "devices/" TEST_DEVICE "/certs/rotate",
    };
    char *answer = good_answer(device);
    for (size_t i = 0; i < COUNT(topics); i++) {
        device_receive(device, topics[i], answer);
        assert_int_equal(device->agent.record.trial, CERT_SLOT_NONE);
    }
    free(answer);
}

static void test_a_certificate_that_does_not_pass_is_not_used_and_a_new_key_is_made(void **state)
{
    test_device_t *device = *state;
    test_leaf_t leaf = pki_good_leaf();
    leaf.common_name = "pump-0043";
    device_receive_from(device, TOPIC_ACCEPTED, cloud_answer(device, TOPIC_ENROLL, &leaf));
    assert_gave_up(device);
    assert_true(fake_port_has_logged(&device->fake, "code=wrong_subject"));
    cJSON *first = device_said(device, TOPIC_ENROLL);
    device_wait(device);
    device_connected(device);
    cJSON *second = device_said(device, TOPIC_ENROLL);
    assert_string_not_equal(cJSON_GetStringValue(cJSON_GetObjectItem(first, "request_id")),
                            cJSON_GetStringValue(cJSON_GetObjectItem(second, "request_id")));
    cJSON_Delete(first);
    cJSON_Delete(second);
}

static void test_a_certificate_id_that_is_not_the_certificates_is_refused(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ACCEPTED, change_field(good_answer(device), "certificate_id", "0123"));
    assert_gave_up(device);
}

static void test_a_chain_larger_than_a_slot_is_refused(void **state)
{
    test_device_t *device = *state;
    char chain[CERT_CHAIN_PEM_MAX] = {0};
    memset(chain, ' ', sizeof(chain) - 1);
    device_receive_from(device, TOPIC_ACCEPTED, change_field(good_answer(device), "chain", chain));
    assert_gave_up(device);
}

static void test_a_rejection_is_obeyed_for_as_long_as_it_says(void **state)
{
    test_device_t *device = *state;
    cJSON *request = device_said(device, TOPIC_ENROLL);
    char text[300];
    snprintf(text, sizeof(text),
             "{\"request_id\":\"%s\",\"code\":\"busy\",\"message\":\"later\",\"retry_after_s\":600}",
             cJSON_GetStringValue(cJSON_GetObjectItem(request, "request_id")));
    cJSON_Delete(request);
    device_receive(device, TOPIC_REJECTED, text);
    assert_gave_up(device);
    device->now_ms += 599 * 1000;
    device_tick(device);
    assert_int_equal(device->fake.connects, 1);
    device->now_ms += 1000;
    device_tick(device);
    assert_int_equal(device->fake.connects, 2);
}

/** The id of the request the device has sent last. */
static void last_request_id(test_device_t *device, char id[CERT_REQUEST_ID_MAX + 1])
{
    cJSON *request = device_said(device, TOPIC_ENROLL);
    snprintf(id, CERT_REQUEST_ID_MAX + 1, "%s", cJSON_GetStringValue(cJSON_GetObjectItem(request, "request_id")));
    cJSON_Delete(request);
}

/** The cloud refuses the request with this code. @return whether the device asks with the same one again */
static bool asks_again_the_same(test_device_t *device, const char *code)
{
    char first[CERT_REQUEST_ID_MAX + 1], second[CERT_REQUEST_ID_MAX + 1], text[300];
    last_request_id(device, first);
    snprintf(text, sizeof(text), "{\"request_id\":\"%s\",\"code\":\"%s\",\"message\":\"no\"}", first, code);
    device_receive(device, TOPIC_REJECTED, text);
    assert_int_equal(device->agent.phase, CERT_PHASE_WAITING);
    while (device->agent.phase == CERT_PHASE_WAITING) {
        device_wait(device);
    }
    device_connected(device);
    last_request_id(device, second);
    return strcmp(first, second) == 0;
}

static void test_a_request_that_the_cloud_will_never_accept_is_made_anew(void **state)
{
    static const char *const codes[] = { "bad_csr", "weak_key", "wrong_subject", "key_mismatch" };
    for (size_t i = 0; i < COUNT(codes); i++) {
        if (asks_again_the_same(*state, codes[i])) {
            fail_msg("the request refused as %s was sent again", codes[i]);
        }
    }
}

static void test_a_request_that_the_cloud_may_accept_later_stays_the_same(void **state)
{
    static const char *const codes[] = { "busy", "not_allowed", "budget_exceeded", "suspended", "revoked",
                                         "internal", "of a later version" };
    for (size_t i = 0; i < COUNT(codes); i++) {
        if (!asks_again_the_same(*state, codes[i])) {
            fail_msg("another request was sent after %s", codes[i]);
        }
    }
}

/** The device has asked with a key of another backend than software. */
static void ask_with_key_of(test_device_t *device, const cert_key_backend_t *backend, char *id)
{
    device->config.key_backend = backend;
    device_boot(device);
    device_connected(device);
    last_request_id(device, id);
}

static void test_a_request_whose_key_this_firmware_cannot_use_is_made_anew(void **state)
{
    test_device_t *device = *state;
    cert_status_t public_key_status;
    cert_key_backend_t other = test_other_backend(&public_key_status);
    char id[CERT_REQUEST_ID_MAX + 1], anew[CERT_REQUEST_ID_MAX + 1];
    ask_with_key_of(device, &other, id);
    device->config.key_backend = NULL; /* another firmware */
    fake_port_forget(&device->fake);
    device_boot(device);
    device_connected(device);
    last_request_id(device, anew);
    assert_string_not_equal(id, anew);
    device_receive_from(device, TOPIC_ACCEPTED, good_answer(device));
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
}

/** The device connects, asks if it can, and waits for its next turn. */
static void ask_in_vain(test_device_t *device)
{
    while (device->agent.phase == CERT_PHASE_WAITING) {
        device_wait(device);
    }
    device_connected(device);
}

static void test_a_key_that_counts_as_corrupt_is_given_up_after_some_tries_and_not_before(void **state)
{
    test_device_t *device = *state;
    cert_status_t public_key_status;
    cert_key_backend_t other = test_other_backend(&public_key_status);
    char id[CERT_REQUEST_ID_MAX + 1], later[CERT_REQUEST_ID_MAX + 1];
    ask_with_key_of(device, &other, id);
    for (int round = 0; round < 2; round++) {
        public_key_status = CERT_ERR_CORRUPT; /* as a failed allocation looks, too */
        device_power_cycle(device);
        fake_port_forget(&device->fake);
        for (int i = 0; i < (round == 0 ? 4 : 5); i++) {
            ask_in_vain(device);
        }
        assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_ENROLL), 0);
        public_key_status = CERT_OK;
        ask_in_vain(device);
        last_request_id(device, later);
        assert_true((strcmp(id, later) == 0) == (round == 0));
    }
}

static void test_text_of_the_cloud_cannot_forge_a_log_line(void **state)
{
    test_device_t *device = *state;
    cJSON *request = device_said(device, TOPIC_ENROLL);
    char text[300];
    snprintf(text, sizeof(text),
             "{\"request_id\":\"%s\",\"code\":\"busy\",\"message\":\"x\\nI (1) cert_mgmt: connected\"}",
             cJSON_GetStringValue(cJSON_GetObjectItem(request, "request_id")));
    cJSON_Delete(request);
    device_receive(device, TOPIC_REJECTED, text);
    for (unsigned i = 0; i < device->fake.log_count; i++) {
        assert_null(strpbrk(device->fake.log[i], "\r\n"));
    }
}

static void test_a_full_store_is_reported_and_tried_again(void **state)
{
    test_device_t *device = *state;
    device->fake.write_status = CERT_ERR_STORAGE_FULL;
    device_receive_from(device, TOPIC_ACCEPTED, good_answer(device));
    assert_gave_up(device);
    assert_true(fake_port_has_logged(&device->fake, "code=storage_full"));
    device->fake.write_status = CERT_OK;
    device_wait(device);
    device_connected(device);
    device_receive_from(device, TOPIC_ACCEPTED, good_answer(device));
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
}

static void test_a_store_that_cannot_take_the_key_stops_the_request(void **state)
{
    test_device_t *device = *state;
    device_boot(device);
    device->fake.write_status = CERT_ERR_STORAGE;
    device_connected(device);
    assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_ENROLL), 0);
    assert_int_equal(device->agent.phase, CERT_PHASE_WAITING);
}

static void test_an_absurd_time_in_the_answer_does_no_harm(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ACCEPTED, change_field(good_answer(device), "time", "9999-12-31T23:59:59Z"));
    if (device->agent.phase == CERT_PHASE_WAITING) { /* it may be refused, too */
        device_wait(device);
        device_connected(device);
        device_receive_from(device, TOPIC_ACCEPTED, good_answer(device));
    }
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
    device_connected(device);
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    assert_said(device, TOPIC_STATUS, "state", "staged");
}

static void test_a_clock_that_only_the_bootstrap_certificate_vouches_for_does_not_raise_the_floor(void **state)
{
    test_device_t *device = *state;
    device->fake.clock = TEST_NOW + 2 * TEST_DAY;
    device_boot(device);
    device_connected(device);
    assert_true(device->agent.time_floor <= TEST_NOW);
}

static void test_a_certificate_refused_by_a_wrong_clock_is_asked_for_again_by_the_same_request(void **state)
{
    test_device_t *device = *state;
    char *answer = good_answer(device);
    device->fake.clock = TEST_NOW + 1000 * TEST_DAY;
    device_receive(device, TOPIC_ACCEPTED, answer);
    assert_gave_up(device);
    assert_true(fake_port_has_logged(&device->fake, "code=expired"));
    device->fake.clock = TEST_NOW;
    device_wait(device);
    device_connected(device);
    device_receive_from(device, TOPIC_ACCEPTED, answer); /* what the cloud says to the same request */
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
}

static void test_a_device_that_does_not_know_the_time_learns_it_from_the_answer(void **state)
{
    test_device_t *device = *state;
    device->fake.clock = 0;
    device_receive_from(device, TOPIC_ACCEPTED, good_answer(device));
    device_connected(device);
    assert_in_range(device->agent.time_floor, TEST_NOW - 3600, TEST_NOW);
    device_power_cycle(device);
    assert_in_range(device->agent.time_floor, TEST_NOW - 3600, TEST_NOW);
}

static void test_an_enrolled_certificate_that_is_refused_is_given_up_and_asked_for_anew(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ACCEPTED, good_answer(device));
    for (int i = 0; i < CERT_TRIAL_LIMIT; i++) {
        assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
        device_failed(device, CERT_FAILURE_IDENTITY_REFUSED);
    }
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_BOOTSTRAP);
    device_connected(device);
    device_receive_from(device, TOPIC_ACCEPTED, good_answer(device));
    device_connected(device);
    assert_int_equal(device->agent.using, CERT_IDENTITY_OPERATIONAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_new_device_connects_with_what_it_got_in_the_factory, test_device_setup,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_device_with_a_factory_secret_proves_that_it_has_it, test_device_setup,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_damaged_factory_secret_proves_nothing_and_stops_nothing,
                                        test_device_setup, test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_factory_reset_leaves_the_factory_secret, test_device_setup,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_it_listens_before_it_asks, setup_asking, test_device_teardown),
        cmocka_unit_test_setup_teardown(test_the_private_key_is_in_no_message_and_no_log_line, setup_asking,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_with_its_certificate_it_connects_anew_and_is_enrolled, setup_asking,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_an_enrolled_device_comes_back_with_its_own_certificate, test_device_setup,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_request_that_took_long_to_make_is_not_repeated_at_once,
                                        test_device_setup, test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_request_without_answer_is_repeated_as_it_was, setup_asking,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_request_survives_a_restart_with_its_key, setup_asking,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_cloud_that_never_answers_is_left_and_tried_again_later, setup_asking,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_the_same_answer_twice_makes_one_identity, setup_asking,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_an_answer_to_another_request_is_ignored, setup_asking,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_broken_answer_is_ignored, setup_asking, test_device_teardown),
        cmocka_unit_test_setup_teardown(test_messages_on_other_topics_are_ignored, setup_asking, test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_certificate_that_does_not_pass_is_not_used_and_a_new_key_is_made,
                                        setup_asking, test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_certificate_id_that_is_not_the_certificates_is_refused, setup_asking,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_chain_larger_than_a_slot_is_refused, setup_asking, test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_rejection_is_obeyed_for_as_long_as_it_says, setup_asking,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_request_that_the_cloud_will_never_accept_is_made_anew, setup_asking,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_request_that_the_cloud_may_accept_later_stays_the_same, setup_asking,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_request_whose_key_this_firmware_cannot_use_is_made_anew,
                                        test_device_setup, test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_key_that_counts_as_corrupt_is_given_up_after_some_tries_and_not_before,
                                        test_device_setup, test_device_teardown),
        cmocka_unit_test_setup_teardown(test_text_of_the_cloud_cannot_forge_a_log_line, setup_asking,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_full_store_is_reported_and_tried_again, setup_asking,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_store_that_cannot_take_the_key_stops_the_request, test_device_setup,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_clock_that_only_the_bootstrap_certificate_vouches_for_does_not_raise_the_floor, test_device_setup,
            test_device_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_certificate_refused_by_a_wrong_clock_is_asked_for_again_by_the_same_request, setup_asking,
            test_device_teardown),
        cmocka_unit_test_setup_teardown(test_an_absurd_time_in_the_answer_does_no_harm, setup_asking,
                                        test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_device_that_does_not_know_the_time_learns_it_from_the_answer,
                                        setup_asking, test_device_teardown),
        cmocka_unit_test_setup_teardown(test_an_enrolled_certificate_that_is_refused_is_given_up_and_asked_for_anew,
                                        setup_asking, test_device_teardown),
    };
    return RUN_TESTS(tests);
}
