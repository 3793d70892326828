/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/* From staged to committed or rolled back. */
#include "test_device.h"
#include "testing.h"

static void test_without_a_commit_both_identities_are_kept_and_the_device_asks_again(void **state)
{
    test_device_t *device = *state;
    device_begin_trial(device, "r1");
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
    device_begin_trial(device, "r1");
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
    device_begin_trial(device, "r1");
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
    device_begin_trial(device, "r1");
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

static void refuse_trial(test_device_t *device)
{
    for (int i = 0; i < CERT_TRIAL_LIMIT; i++) {
        assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
        device_failed(device, CERT_FAILURE_IDENTITY_REFUSED);
    }
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
    fake_port_forget(&device->fake);
}

static unsigned count_rolled_back(const test_device_t *device)
{
    unsigned count = 0;
    for (unsigned i = 0; i < device->fake.published_count; i++) {
        count += strstr(device->fake.published[i].payload, "\"rolled_back\"") != NULL;
    }
    return count;
}

static void test_a_roll_back_is_reported_until_the_server_has_acknowledged_it(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    refuse_trial(device);
    for (unsigned reports = 1; reports <= 3; reports++) {
        device_connected(device);
        assert_int_equal(count_rolled_back(device), reports);
        device_power_cycle(device); /* who knows whether it has arrived? */
    }
    device_connected(device);
    device_delivered(device);
    device_power_cycle(device);
    device_connected(device);
    assert_int_equal(count_rolled_back(device), 4);
}

static void test_a_report_that_could_not_be_sent_is_not_taken_for_delivered(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    refuse_trial(device);
    device->fake.publish_status = CERT_ERR_STORAGE_FULL;
    device_connected(device);
    device->fake.publish_status = CERT_OK;
    device_delivered(device);
    assert_string_equal(device->agent.record.rolled_back_id, "r1");
    device_power_cycle(device);
    device_connected(device);
    assert_int_equal(count_rolled_back(device) > 0, true);
    cert_agent_delivered(&device->agent, device->fake.connect.connection - 1); /* said too late */
    assert_string_equal(device->agent.record.rolled_back_id, "r1");
    device->fake.write_status = CERT_ERR_STORAGE;
    device_delivered(device);
    assert_string_equal(device->agent.record.rolled_back_id, "r1"); /* will be said once more */
}

/** Refuse the trial while the commit record cannot be written, though all else can. */
static void refuse_trial_unrecorded(test_device_t *device)
{
    device->fake.unwritable_key = "commit";
    refuse_trial(device);
    device->fake.unwritable_key = NULL;
    assert_non_null(fake_port_value(&device->fake, "slot_b"));
}

static void test_a_roll_back_that_could_not_be_recorded_is_made_and_reported_after_a_restart(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    refuse_trial_unrecorded(device);
    device_power_cycle(device);
    refuse_trial(device);
    assert_null(fake_port_value(&device->fake, "slot_b"));
    device_connected(device);
    assert_int_equal(count_rolled_back(device), 1);
}

static void test_a_roll_back_that_could_not_be_recorded_leaves_nothing_once_it_is_reported(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    refuse_trial_unrecorded(device);
    device_connected(device);
    assert_int_equal(count_rolled_back(device), 1);
    device_delivered(device);
    assert_null(fake_port_value(&device->fake, "slot_b"));
    device_power_cycle(device);
    assert_unchanged(device);
}

static void test_a_rolled_back_trial_that_cannot_be_erased_does_not_come_back(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    device->fake.unwritable_key = "slot_b";
    refuse_trial(device);
    for (int i = 0; i < 2; i++) {
        device_connected(device);
        device_delivered(device);
        device_power_cycle(device);
        assert_unchanged(device);
    }
    device->fake.unwritable_key = NULL;
    device_connected(device);
    device_delivered(device);
    assert_null(fake_port_value(&device->fake, "slot_b"));
    assert_string_equal(device->agent.record.rolled_back_id, "");
}

static void test_a_request_under_way_outlasts_the_report_of_a_roll_back(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    refuse_trial(device);
    device_connected(device);
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r2", "ec-p256"));
    device_delivered(device);
    assert_string_equal(device->agent.record.rolled_back_id, "");
    device_receive_from(device, TOPIC_ISSUED, cloud_answer_csr(device));
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONLINE(test_without_a_commit_both_identities_are_kept_and_the_device_asks_again),
        ONLINE(test_a_lost_commit_is_made_up_for_after_a_restart),
        ONLINE(test_a_commit_of_another_certificate_is_not_obeyed),
        ONLINE(test_a_commit_that_cannot_be_stored_is_asked_for_again),
        ONLINE(test_three_refusals_roll_back_and_the_cloud_is_told),
        ONLINE(test_a_roll_back_is_reported_until_the_server_has_acknowledged_it),
        ONLINE(test_a_report_that_could_not_be_sent_is_not_taken_for_delivered),
        ONLINE(test_a_roll_back_that_could_not_be_recorded_is_made_and_reported_after_a_restart),
        ONLINE(test_a_roll_back_that_could_not_be_recorded_leaves_nothing_once_it_is_reported),
        ONLINE(test_a_rolled_back_trial_that_cannot_be_erased_does_not_come_back),
        ONLINE(test_a_request_under_way_outlasts_the_report_of_a_roll_back),
        ONLINE(test_refusals_are_counted_across_power_cycles),
        ONLINE(test_what_is_not_the_identitys_fault_never_ends_a_trial),
        ONLINE(test_a_server_that_closes_without_a_word_ends_a_trial_only_if_the_old_identity_gets_through),
        ONLINE(test_a_boot_loop_during_a_trial_rolls_back),
        ONLINE(test_power_cycles_during_a_trial_neither_brick_nor_end_it_at_once),
        ONLINE(test_a_trial_lost_from_the_store_falls_back),
        ONLINE(test_the_device_restarts_for_a_rotation_only_if_told_to),
    };
    return RUN_TESTS(tests);
}
