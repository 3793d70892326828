/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fake_port.h"
#include "test_pki.h"
#include "testing.h"
#include "time_floor.h"

#define BUILD_TIME (TEST_NOW - 10 * TEST_DAY)

static int64_t loaded(const cert_port_t *port, int64_t build_time)
{
    int64_t floor;
    assert_int_equal(time_floor_load(port, build_time, &floor), CERT_OK);
    return floor;
}

static void test_a_new_device_knows_when_it_was_built(void **state)
{
    fake_platform_t *test = *state;
    assert_int_equal(loaded(&test->port, BUILD_TIME), BUILD_TIME);
}

static void test_the_floor_survives_a_restart(void **state)
{
    fake_platform_t *test = *state;
    int64_t floor = BUILD_TIME;
    assert_int_equal(time_floor_raise(&test->port, &floor, TEST_NOW), CERT_OK);
    assert_int_equal(floor, TEST_NOW);
    assert_int_equal(loaded(&test->port, BUILD_TIME), TEST_NOW);
}

static void test_a_newer_firmware_raises_the_floor(void **state)
{
    fake_platform_t *test = *state;
    int64_t floor = BUILD_TIME;
    time_floor_raise(&test->port, &floor, TEST_NOW);
    assert_int_equal(loaded(&test->port, TEST_NOW + TEST_DAY), TEST_NOW + TEST_DAY);
}

static void test_the_floor_never_sinks(void **state)
{
    fake_platform_t *test = *state;
    int64_t floor = TEST_NOW;
    assert_int_equal(time_floor_raise(&test->port, &floor, TEST_NOW - TEST_DAY), CERT_OK);
    assert_int_equal(floor, TEST_NOW);
    assert_int_equal(test->fake.changes, 0);
}

static void test_small_steps_spare_the_flash(void **state)
{
    fake_platform_t *test = *state;
    int64_t floor = TEST_NOW;
    assert_int_equal(time_floor_raise(&test->port, &floor, TEST_NOW + 60), CERT_OK);
    assert_int_equal(test->fake.changes, 0);
}

static void test_a_corrupt_floor_is_not_believed(void **state)
{
    fake_platform_t *test = *state;
    int64_t floor = BUILD_TIME;
    time_floor_raise(&test->port, &floor, TEST_NOW);
    fake_value_t *value = fake_port_value(&test->fake, "time");
    for (size_t i = 0; i < value->len; i++) {
        value->data[i] ^= 0x40;
        assert_int_equal(loaded(&test->port, BUILD_TIME), BUILD_TIME);
        value->data[i] ^= 0x40;
    }
}

static void test_a_full_store_is_reported_and_the_floor_still_rises(void **state)
{
    fake_platform_t *test = *state;
    int64_t floor = BUILD_TIME;
    test->fake.write_status = CERT_ERR_STORAGE_FULL;
    assert_int_equal(time_floor_raise(&test->port, &floor, TEST_NOW), CERT_ERR_STORAGE_FULL);
    assert_int_equal(floor, TEST_NOW);
}

static void test_a_clock_behind_the_floor_is_wrong(void **state)
{
    fake_platform_t *test = *state;
    bool is_known = true;
    test->fake.clock = 0;
    assert_int_equal(time_floor_now(&test->port, BUILD_TIME, &is_known), BUILD_TIME);
    assert_false(is_known);
    test->fake.clock = 1000; /* 1970 */
    assert_int_equal(time_floor_now(&test->port, BUILD_TIME, &is_known), BUILD_TIME);
    assert_false(is_known);
    test->fake.clock = TEST_NOW;
    assert_int_equal(time_floor_now(&test->port, BUILD_TIME, &is_known), TEST_NOW);
    assert_true(is_known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_FAKE_PLATFORM(test_a_new_device_knows_when_it_was_built),
        ON_FAKE_PLATFORM(test_the_floor_survives_a_restart),
        ON_FAKE_PLATFORM(test_a_newer_firmware_raises_the_floor),
        ON_FAKE_PLATFORM(test_the_floor_never_sinks),
        ON_FAKE_PLATFORM(test_small_steps_spare_the_flash),
        ON_FAKE_PLATFORM(test_a_corrupt_floor_is_not_believed),
        ON_FAKE_PLATFORM(test_a_full_store_is_reported_and_the_floor_still_rises),
        ON_FAKE_PLATFORM(test_a_clock_behind_the_floor_is_wrong),
    };
    return RUN_TESTS(tests);
}
