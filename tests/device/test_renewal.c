/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/* The device renews its certificate by itself. */
#include "test_device.h"
#include "testing.h"

static void test_a_certificate_near_its_end_is_renewed_without_being_told(void **state)
{
    test_device_t *device = *state;
    device->fake.clock = TEST_NOW + 300 * TEST_DAY;
    device_wait(device);
    assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_CSR), 0);
    device->fake.clock = TEST_NOW + 320 * TEST_DAY;
    device_wait(device);
    assert_said(device, TOPIC_CSR, "reason", "expiring");
    device_receive_from(device, TOPIC_ISSUED, cloud_answer_csr(device));
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

/** A device whose renewal, or the rotation `order`, is pending on a key that the firmware after it cannot use. */
static void leave_pending_on_another_backend(test_device_t *device, const char *order)
{
    static cert_status_t public_key_status;
    static cert_key_backend_t other;
    other = test_other_backend(&public_key_status);
    device->config.key_backend = &other;
    device_power_cycle(device);
    device_connected(device);
    if (order != NULL) {
        device_receive(device, TOPIC_ROTATE, order);
    } else {
        device->fake.clock = TEST_NOW + 320 * TEST_DAY;
        device_wait(device);
    }
    assert_int_equal(fake_port_count_messages(&device->fake, TOPIC_CSR), 1);
    device->config.key_backend = NULL;
    device_power_cycle(device);
    device_connected(device);
    fake_port_forget(&device->fake);
}

static void test_a_renewal_whose_key_this_firmware_cannot_use_begins_anew(void **state)
{
    test_device_t *device = *state;
    leave_pending_on_another_backend(device, NULL);
    device_wait(device);
    assert_said(device, TOPIC_CSR, "reason", "expiring");
    assert_null(fake_port_last_message(&device->fake, TOPIC_STATUS)); /* nobody ordered it */
    device_receive_from(device, TOPIC_ISSUED, cloud_answer_csr(device));
    assert_said(device, TOPIC_STATUS, "state", "staged");
}

static void test_an_order_whose_key_this_firmware_cannot_use_is_reported_as_failed_when_a_renewal_takes_its_place(
    void **state)
{
    test_device_t *device = *state;
    leave_pending_on_another_backend(device, ROTATE_BY_CSR("r1", "ec-p256"));
    device->fake.clock = TEST_NOW + 320 * TEST_DAY;
    device_wait(device);
    assert_said(device, TOPIC_STATUS, "rotation_id", "r1");
    assert_rejected(device, "unsupported");
    assert_said(device, TOPIC_CSR, "reason", "expiring");
}

static void test_an_order_that_is_repeated_gets_a_key_that_this_firmware_can_use(void **state)
{
    test_device_t *device = *state;
    leave_pending_on_another_backend(device, ROTATE_BY_CSR("r1", "ec-p256"));
    device_receive(device, TOPIC_ROTATE, ROTATE_BY_CSR("r1", "ec-p256"));
    assert_said(device, TOPIC_STATUS, "state", "accepted");
    assert_said(device, TOPIC_CSR, "rotation_id", "r1");
    device_receive_from(device, TOPIC_ISSUED, cloud_answer_csr(device));
    assert_said(device, TOPIC_STATUS, "state", "staged");
}

static void test_an_answer_for_a_key_that_this_firmware_cannot_use_is_rejected(void **state)
{
    test_device_t *device = *state;
    leave_pending_on_another_backend(device, ROTATE_BY_CSR("r1", "ec-p256"));
    const char *answer = "{\"rotation_id\":\"r1\",\"certificate\":\"x\",\"chain\":\"\",\"certificate_id\":\"0\"}";
    device_receive(device, TOPIC_ISSUED, answer);
    assert_rejected(device, "unsupported");
    device_receive(device, TOPIC_ISSUED, answer);
    assert_rejected(device, "stale"); /* it is gone */
}

static void test_a_key_that_stays_corrupt_ends_an_order_and_a_renewal_begins_anew(void **state)
{
    (void)state;
    static const char *const orders[] = { ROTATE_BY_CSR("r1", "ec-p256"), NULL };
    for (size_t i = 0; i < COUNT(orders); i++) {
        void *own_state;
        test_device_setup_online(&own_state);
        test_device_t *device = own_state;
        cert_status_t public_key_status;
        cert_key_backend_t other = test_other_backend(&public_key_status);
        device->config.key_backend = &other;
        device_power_cycle(device);
        device_connected(device);
        fake_port_forget(&device->fake);
        public_key_status = CERT_ERR_CORRUPT;
        if (orders[i] != NULL) {
            device_receive(device, TOPIC_ROTATE, orders[i]);
            assert_said(device, TOPIC_STATUS, "state", "accepted");
        } else {
            device->fake.clock = TEST_NOW + 320 * TEST_DAY;
        }
        for (int minute = 0; minute < 55; minute++) {
            device_wait(device);
        }
        if (orders[i] != NULL) {
            assert_said(device, TOPIC_STATUS, "rotation_id", "r1");
            assert_rejected(device, "unsupported");
        }
        assert_int_equal(device->agent.repeat_after_ms, 0);
        public_key_status = CERT_OK;
        device->fake.clock = TEST_NOW + 320 * TEST_DAY;
        for (int minute = 0; minute < 60; minute++) {
            device_wait(device);
        }
        assert_said(device, TOPIC_CSR, "reason", "expiring");
        test_device_teardown(&own_state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONLINE(test_a_certificate_near_its_end_is_renewed_without_being_told),
        ONLINE(test_a_renewal_is_not_asked_for_again_and_again),
        ONLINE(test_a_clock_that_is_not_known_renews_nothing),
        ONLINE(test_a_renewal_whose_key_this_firmware_cannot_use_begins_anew),
        ONLINE(test_an_order_whose_key_this_firmware_cannot_use_is_reported_as_failed_when_a_renewal_takes_its_place),
        ONLINE(test_an_order_that_is_repeated_gets_a_key_that_this_firmware_can_use),
        ONLINE(test_an_answer_for_a_key_that_this_firmware_cannot_use_is_rejected),
        cmocka_unit_test(test_a_key_that_stays_corrupt_ends_an_order_and_a_renewal_begins_anew),
    };
    return RUN_TESTS(tests);
}
