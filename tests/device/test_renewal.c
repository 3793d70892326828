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

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONLINE(test_a_certificate_near_its_end_is_renewed_without_being_told),
        ONLINE(test_a_renewal_is_not_asked_for_again_and_again),
        ONLINE(test_a_clock_that_is_not_known_renews_nothing),
    };
    return RUN_TESTS(tests);
}
