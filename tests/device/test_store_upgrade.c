/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * Stores that older firmware has written, as files under store_v1/: a device that is updated goes on as if nothing had
 * been, and one that goes back to the older firmware finds what that can read.
 */
#include <stdio.h>
#include <stdlib.h>

#include "test_device.h"
#include "testing.h"

static void load_value(test_device_t *device, const char *store, const char *key)
{
    char path[512];
    uint8_t data[FAKE_VALUE_MAX];
    snprintf(path, sizeof(path), STORE_V1_DIR "/%s/%s", store, key);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return;
    }
    size_t len = fread(data, 1, sizeof(data), file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(device->port.kv_write(device->port.ctx, key, data, len), CERT_OK);
}

static void load_store(test_device_t *device, const char *store)
{
    static const char *const keys[] = {"commit", "slot_a", "slot_b", "time"};
    for (size_t i = 0; i < COUNT(keys); i++) {
        load_value(device, store, keys[i]);
    }
    assert_non_null(fake_port_value(&device->fake, "commit"));
    device_power_cycle(device);
}

static void test_an_enrolled_device_goes_on_with_its_identity_and_rotates(void **state)
{
    test_device_t *device = *state;
    load_store(device, "enrolled");
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
    assert_true(
        pki_key_belongs(device->fake.connect.key, device->fake.connect.key_len, device->fake.connect.chain_pem));
    device_connected(device);
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, "r1"));
    device_connected(device);
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
    assert_said(device, TOPIC_STATUS, "state", "committed");
    assert_int_equal(device->agent.record.generation, 2);
}

static void test_a_trial_goes_on_where_the_older_firmware_left_it(void **state)
{
    test_device_t *device = *state;
    load_store(device, "on_trial");
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_TRIAL);
    assert_int_equal(device->agent.record.trial_refusals, 1);
    device_failed(device, CERT_FAILURE_IDENTITY_REFUSED);
    device_failed(device, CERT_FAILURE_IDENTITY_REFUSED);
    assert_int_equal(device->fake.connect.identity, CERT_IDENTITY_OPERATIONAL);
    assert_int_equal(fake_port_value(&device->fake, "commit")->data[4], 2);
    device_power_cycle(device);
    device_connected(device);
    assert_true(fake_port_count_messages(&device->fake, TOPIC_STATUS) == 2);
    assert_non_null(strstr(device->fake.published[0].payload, "rotation-of-an-older-firmware"));
    device_delivered(device);
    assert_int_equal(fake_port_value(&device->fake, "commit")->data[4], 1); /* which the older one can read */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_enrolled_device_goes_on_with_its_identity_and_rotates,
                                        test_device_setup, test_device_teardown),
        cmocka_unit_test_setup_teardown(test_a_trial_goes_on_where_the_older_firmware_left_it, test_device_setup,
                                        test_device_teardown),
    };
    return RUN_TESTS(tests);
}
