/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "bytes.h"
#include "test_device.h"
#include "testing.h"

static int setup_enrolled(void **state)
{
    test_device_setup(state);
    device_enroll(*state);
    return 0;
}

/* ---------------------------------------------------------------- configuration */

static void test_a_setting_that_is_missing_or_malformed_is_refused(void **state)
{
    test_device_t *device = *state;
    static const char *const ids[] = {NULL, "", "ab", "-pump", "pump/42", "pump 42", "p\xc3\xbcmp"};
    cert_agent_config_t config = device->config;
    for (size_t i = 0; i < COUNT(ids); i++) {
        config.device_id = ids[i];
        assert_int_equal(cert_agent_init(&device->agent, &config, &device->port), CERT_ERR_INVALID_ARG);
    }
    config = device->config;
    config.bootstrap_chain_pem = NULL;
    assert_int_equal(cert_agent_init(&device->agent, &config, &device->port), CERT_ERR_INVALID_ARG);
    config = device->config;
    config.bootstrap_key = NULL;
    assert_int_equal(cert_agent_init(&device->agent, &config, &device->port), CERT_ERR_INVALID_ARG);
    config = device->config;
    config.anchors_pem = NULL;
    assert_int_equal(cert_agent_init(&device->agent, &config, &device->port), CERT_ERR_INVALID_ARG);
    config = device->config;
    config.backoff_max_ms = config.backoff_min_ms - 1;
    assert_int_equal(cert_agent_init(&device->agent, &config, &device->port), CERT_ERR_INVALID_ARG);
    config.backoff_min_ms = 0;
    assert_int_equal(cert_agent_init(&device->agent, &config, &device->port), CERT_ERR_INVALID_ARG);
}

static void test_a_store_that_cannot_be_used_keeps_the_agent_stopped(void **state)
{
    test_device_t *device = *state;
    device->fake.read_status = CERT_ERR_STORAGE;
    assert_int_equal(cert_agent_init(&device->agent, &device->config, &device->port), CERT_OK);
    assert_int_equal(cert_agent_boot(&device->agent, 0), CERT_ERR_STORAGE);
    device_tick(device);
    assert_int_equal(device->agent.phase, CERT_PHASE_STOPPED);
    assert_int_equal(device->fake.connects, 0);
}

static void test_a_store_that_can_be_read_again_is_booted_by_another_call(void **state)
{
    test_device_t *device = *state;
    device->fake.read_status = CERT_ERR_STORAGE;
    assert_int_equal(cert_agent_init(&device->agent, &device->config, &device->port), CERT_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cert_agent_boot(&device->agent, 0), CERT_ERR_STORAGE);
    }
    device->fake.read_status = CERT_OK;
    assert_int_equal(cert_agent_boot(&device->agent, 0), CERT_OK);
    device_tick(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
}

/* Power lost at every change of a pushed rotation, and then a medium that can only be read. */
static void test_a_store_that_can_only_be_read_does_not_keep_the_device_offline(void **state)
{
    (void)state;
    static const cert_status_t why[] = { CERT_ERR_STORAGE, CERT_ERR_STORAGE_FULL };
    for (int power_left = 0; power_left < 4; power_left++) {
        void *own_state;
        test_device_setup_online(&own_state);
        test_device_t *device = own_state;
        device->fake.power_left = power_left;
        device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
        for (size_t i = 0; i < COUNT(why); i++) {
            device->fake.write_status = why[i];
            device_power_cycle(device);
            device_connected(device);
            assert_true(device->agent.using != CERT_IDENTITY_BOOTSTRAP);
        }
        test_device_teardown(&own_state);
    }
}

static void test_a_store_of_a_newer_version_keeps_the_agent_stopped_and_is_not_touched(void **state)
{
    test_device_t *device = *state;
    static const char *const keys[] = {"commit", "slot_a", "time"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        fake_value_t *value = fake_port_value(&device->fake, keys[i]);
        const fake_value_t before = *value;
        value->data[4] = 9; /* the format version; then the CRC */
        bytes_put_u32(value->data + value->len - 4, bytes_crc32(value->data, value->len - 4));
        unsigned changes = device->fake.changes;
        fake_port_forget(&device->fake);
        assert_int_equal(cert_agent_init(&device->agent, &device->config, &device->port), CERT_OK);
        assert_int_equal(cert_agent_boot(&device->agent, 0), CERT_ERR_NEWER_FORMAT);
        device_tick(device);
        assert_int_equal(device->fake.connects, 0);
        assert_int_equal(device->fake.changes, changes);
        *value = before;
    }
}

/* ---------------------------------------------------------------- backoff */

static void test_the_delay_doubles_up_to_its_cap_with_jitter_down_to_half(void **state)
{
    test_device_t *device = *state;
    device_boot(device);
    uint32_t full = device->config.backoff_min_ms;
    for (int i = 0; i < 12; i++) {
        cert_agent_disconnected(&device->agent, device->fake.connect.connection, CERT_FAILURE_NETWORK, NULL,
                                device->now_ms);
        uint64_t delay = device->agent.wake_at_ms - device->now_ms;
        assert_in_range(delay, full / 2, full);
        full = full * 2 < device->config.backoff_max_ms ? full * 2 : device->config.backoff_max_ms;
        device->now_ms = device->agent.wake_at_ms;
        device_tick(device);
    }
}

static void test_two_devices_do_not_come_back_at_the_same_moment(void **state)
{
    test_device_t *device = *state;
    uint64_t wake[2];
    for (uint32_t i = 0; i < 2; i++) {
        device->fake.random_state = i;
        device_boot(device);
        cert_agent_disconnected(&device->agent, device->fake.connect.connection, CERT_FAILURE_NETWORK, NULL,
                                device->now_ms);
        wake[i] = device->agent.wake_at_ms;
    }
    assert_int_not_equal(wake[0], wake[1]);
}

static void test_a_connection_that_lasted_starts_the_backoff_anew(void **state)
{
    test_device_t *device = *state;
    for (int i = 0; i < 8; i++) {
        cert_agent_disconnected(&device->agent, device->fake.connect.connection, CERT_FAILURE_NETWORK, NULL,
                                device->now_ms);
        device->now_ms = device->agent.wake_at_ms;
        device_tick(device);
    }
    device_connected(device);
    device->now_ms += 60 * 1000;
    cert_agent_disconnected(&device->agent, device->fake.connect.connection, CERT_FAILURE_NETWORK, NULL,
                            device->now_ms);
    assert_in_range(device->agent.wake_at_ms - device->now_ms, 1, device->config.backoff_min_ms);
}

static void test_a_connection_cut_at_once_does_not(void **state)
{
    test_device_t *device = *state;
    for (int i = 0; i < 8; i++) {
        cert_agent_disconnected(&device->agent, device->fake.connect.connection, CERT_FAILURE_NETWORK, NULL,
                                device->now_ms);
        device->now_ms = device->agent.wake_at_ms;
        device_tick(device);
        device_connected(device);
    }
    cert_agent_disconnected(&device->agent, device->fake.connect.connection, CERT_FAILURE_NETWORK, NULL,
                            device->now_ms);
    assert_true(device->agent.wake_at_ms - device->now_ms > 10 * device->config.backoff_min_ms);
}

static void test_a_port_that_never_answers_is_not_waited_for_for_ever(void **state)
{
    test_device_t *device = *state;
    device_boot(device);
    device->now_ms += 10 * 60 * 1000;
    device_tick(device);
    assert_int_equal(device->fake.disconnects, 1);
    assert_int_equal(device->agent.phase, CERT_PHASE_WAITING);
}

static void test_the_agent_says_when_it_wants_to_be_called(void **state)
{
    test_device_t *device = *state;
    device_boot(device);
    cert_agent_disconnected(&device->agent, device->fake.connect.connection, CERT_FAILURE_NETWORK, NULL,
                            device->now_ms);
    uint32_t wait_ms = cert_agent_tick(&device->agent, device->now_ms);
    assert_int_equal(wait_ms, device->agent.wake_at_ms - device->now_ms);
    assert_int_equal(device->fake.connects, 1);
    cert_agent_tick(&device->agent, device->now_ms + wait_ms - 1);
    assert_int_equal(device->fake.connects, 1);
    cert_agent_tick(&device->agent, device->now_ms + wait_ms);
    assert_int_equal(device->fake.connects, 2);
}

/* ---------------------------------------------------------------- events of the past */

static void test_events_of_an_older_connection_are_ignored(void **state)
{
    test_device_t *device = *state;
    device_boot(device);
    uint32_t old = device->fake.connect.connection;
    device_failed(device, CERT_FAILURE_NETWORK);
    assert_int_equal(device->agent.phase, CERT_PHASE_CONNECTING);
    cert_agent_connected(&device->agent, old, device->now_ms);
    assert_int_equal(device->agent.phase, CERT_PHASE_CONNECTING);
    cert_agent_disconnected(&device->agent, old, CERT_FAILURE_IDENTITY_REFUSED, NULL, device->now_ms);
    assert_int_equal(device->agent.phase, CERT_PHASE_CONNECTING);
    uint8_t payload[] = "{}";
    cert_agent_message(&device->agent, old, TOPIC_ACCEPTED, payload, 2, device->now_ms);
    assert_int_equal(payload[0], 0); /* wiped all the same */
}

static void test_an_event_twice_counts_once(void **state)
{
    test_device_t *device = *state;
    uint32_t connection = device->fake.connect.connection;
    cert_agent_connected(&device->agent, connection, device->now_ms);
    cert_agent_disconnected(&device->agent, connection, CERT_FAILURE_IDENTITY_REFUSED, NULL, device->now_ms);
    uint32_t refusals = device->agent.refusals;
    cert_agent_disconnected(&device->agent, connection, CERT_FAILURE_IDENTITY_REFUSED, NULL, device->now_ms);
    assert_int_equal(device->agent.refusals, refusals);
}

/* ---------------------------------------------------------------- whose fault */

static void test_what_is_not_the_identitys_fault_never_counts(void **state)
{
    test_device_t *device = *state;
    for (int i = 0; i < 200; i++) {
        device_failed(device, i % 2 == 0 ? CERT_FAILURE_NETWORK : CERT_FAILURE_SERVER_UNTRUSTED);
        assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
    }
}

static void test_a_persistent_refusal_lets_the_bootstrap_identity_try_and_forgets_nothing(void **state)
{
    test_device_t *device = *state;
    for (int i = 1; i < CERT_REFUSALS_BEFORE_BOOTSTRAP; i++) {
        device_failed(device, CERT_FAILURE_IDENTITY_REFUSED);
        assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
    }
    device_failed(device, CERT_FAILURE_IDENTITY_REFUSED);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_BOOTSTRAP);
    assert_int_equal(device->agent.record.current, CERT_SLOT_A);
    assert_non_null(fake_port_value(&device->fake, "slot_a"));
    device_failed(device, CERT_FAILURE_NETWORK);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
    device_connected(device);
    assert_int_equal(device->agent.refusals, 0);
}

static void test_with_the_bootstrap_identity_a_refused_device_enrols_anew(void **state)
{
    test_device_t *device = *state;
    for (int i = 0; i < CERT_REFUSALS_BEFORE_BOOTSTRAP; i++) {
        device_failed(device, CERT_FAILURE_IDENTITY_REFUSED);
    }
    device_connected(device);
    const test_leaf_t leaf = pki_good_leaf();
    device_receive_from(device, TOPIC_ACCEPTED, cloud_answer(device, TOPIC_ENROLL, &leaf));
    device_connected(device);
    assert_int_equal(device->agent.using, CERT_IDENTITY_OPERATIONAL);
    assert_int_equal(device->agent.record.current, CERT_SLOT_B);
    assert_int_equal(device->agent.record.generation, 2);
    assert_null(fake_port_value(&device->fake, "slot_a"));
}

static void test_a_revoked_device_backs_off_and_does_not_spin(void **state)
{
    test_device_t *device = *state;
    uint64_t began_ms = device->now_ms;
    unsigned changes = device->fake.changes;
    unsigned attempts = 0;
    while (device->now_ms < began_ms + 3600 * 1000) {
        if (device->agent.phase == CERT_PHASE_CONNECTING || device->agent.phase == CERT_PHASE_ONLINE) {
            cert_agent_disconnected(&device->agent, device->fake.connect.connection, CERT_FAILURE_IDENTITY_REFUSED,
                                    NULL, device->now_ms);
            attempts++;
            device->fake.log_count = 0;
        }
        device_wait(device);
    }
    assert_in_range(attempts, 60, 140); /* an hour at a minute each, less jitter */
    assert_int_equal(device->fake.changes, changes);
}

/** Refuse the operational identity until bootstrap gets its turn, and then what that asks for. */
static void refuse_also_enrolment(test_device_t *device)
{
    for (int i = 0; device->agent.using != CERT_IDENTITY_BOOTSTRAP; i++) {
        assert_true(i < CERT_REFUSALS_BEFORE_BOOTSTRAP);
        device_failed(device, CERT_FAILURE_IDENTITY_REFUSED);
    }
    device_connected(device);
    cJSON *request = device_said(device, TOPIC_ENROLL);
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddItemToObject(answer, "request_id", cJSON_DetachItemFromObject(request, "request_id"));
    cJSON_AddStringToObject(answer, "code", "revoked");
    cJSON_AddStringToObject(answer, "message", "this device is revoked");
    char *text = cJSON_PrintUnformatted(answer);
    device_receive_from(device, TOPIC_REJECTED, text);
    cJSON_Delete(answer);
    cJSON_Delete(request);
    device_wait(device);
}

static void test_a_refusal_by_enrolment_gives_the_operational_identity_its_turn_again(void **state)
{
    test_device_t *device = *state;
    refuse_also_enrolment(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
}

/* A TLS alert can be forged by anybody on the way. */
static void test_refusals_forged_for_ever_cost_attempts_to_enrol_but_never_the_identity(void **state)
{
    test_device_t *device = *state;
    char chain[CERT_CHAIN_PEM_MAX + 1];
    strcpy(chain, device->agent.identity.chain_pem);
    for (int round = 0; round < 20; round++) {
        refuse_also_enrolment(device);
        if (round % 5 == 0) {
            device_power_cycle(device);
        }
        fake_port_forget(&device->fake);
        assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
        assert_int_equal(device->agent.record.generation, 1);
    }
    device_connected(device);
    assert_string_equal(device->fake.connect.chain_pem, chain);
    assert_unchanged(device);
}

static void test_a_corrupt_operational_identity_falls_back_to_bootstrap(void **state)
{
    test_device_t *device = *state;
    fake_port_value(&device->fake, "slot_a")->data[30] ^= 1;
    device_power_cycle(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_BOOTSTRAP);
}

static void test_a_store_that_cannot_be_read_for_a_while_costs_no_identity(void **state)
{
    test_device_t *device = *state;
    device->fake.read_status = CERT_ERR_STORAGE;
    unsigned connects = device->fake.connects;
    device_failed(device, CERT_FAILURE_NETWORK);
    for (int i = 0; i < 5; i++) {
        device_wait(device);
    }
    assert_int_equal(device->fake.connects, connects);
    device->fake.read_status = CERT_OK;
    device_wait(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
}

static void test_the_bootstrap_identity_survives_everything(void **state)
{
    test_device_t *device = *state;
    assert_int_equal(cert_agent_factory_reset(&device->agent), CERT_OK);
    device_boot(device);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_BOOTSTRAP);
    assert_string_equal(device->fake.connect.chain_pem, device->pki.bootstrap_pem);
    assert_memory_equal(device->fake.connect.key, device->config.bootstrap_key, device->fake.connect.key_len);
}

static void test_no_private_key_is_left_behind_in_the_agent(void **state)
{
    test_device_t *device = *state;
    static const cert_identity_t empty;
    static const uint8_t zeros[CERT_SLOT_BLOB_MAX];
    assert_memory_equal(&device->agent.candidate, &empty, sizeof(empty));
    assert_memory_equal(device->agent.blob, zeros, sizeof(device->agent.blob));
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    assert_memory_equal(&device->agent.candidate, &empty, sizeof(empty));
    assert_memory_equal(device->agent.blob, zeros, sizeof(device->agent.blob));
}

#define NEW(test) cmocka_unit_test_setup_teardown(test, test_device_setup, test_device_teardown)
#define ENROLLED(test) cmocka_unit_test_setup_teardown(test, setup_enrolled, test_device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NEW(test_a_setting_that_is_missing_or_malformed_is_refused),
        NEW(test_a_store_that_cannot_be_used_keeps_the_agent_stopped),
        ENROLLED(test_a_store_that_can_be_read_again_is_booted_by_another_call),
        cmocka_unit_test(test_a_store_that_can_only_be_read_does_not_keep_the_device_offline),
        ENROLLED(test_a_store_of_a_newer_version_keeps_the_agent_stopped_and_is_not_touched),
        NEW(test_the_delay_doubles_up_to_its_cap_with_jitter_down_to_half),
        NEW(test_two_devices_do_not_come_back_at_the_same_moment),
        ENROLLED(test_a_connection_that_lasted_starts_the_backoff_anew),
        ENROLLED(test_a_connection_cut_at_once_does_not),
        NEW(test_a_port_that_never_answers_is_not_waited_for_for_ever),
        NEW(test_the_agent_says_when_it_wants_to_be_called),
        NEW(test_events_of_an_older_connection_are_ignored),
        ENROLLED(test_an_event_twice_counts_once),
        ENROLLED(test_what_is_not_the_identitys_fault_never_counts),
        ENROLLED(test_a_persistent_refusal_lets_the_bootstrap_identity_try_and_forgets_nothing),
        ENROLLED(test_with_the_bootstrap_identity_a_refused_device_enrols_anew),
        ENROLLED(test_a_revoked_device_backs_off_and_does_not_spin),
        ENROLLED(test_a_refusal_by_enrolment_gives_the_operational_identity_its_turn_again),
        ENROLLED(test_refusals_forged_for_ever_cost_attempts_to_enrol_but_never_the_identity),
        ENROLLED(test_a_corrupt_operational_identity_falls_back_to_bootstrap),
        ENROLLED(test_a_store_that_cannot_be_read_for_a_while_costs_no_identity),
        ENROLLED(test_the_bootstrap_identity_survives_everything),
        ENROLLED(test_no_private_key_is_left_behind_in_the_agent),
    };
    return RUN_TESTS(tests);
}
