/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "cert_mgmt/cert_settings.h"
#include "fake_port.h"
#include "testing.h"

typedef struct {
    fake_port_t fake;
    cert_port_t port;
    cert_settings_t settings;
} settings_test_t;

static int setup(void **state)
{
    settings_test_t *test = calloc(1, sizeof(*test));
    fake_port_init(&test->fake);
    test->port = fake_port_make(&test->fake);
    cert_settings_default(&test->settings);
    *state = test;
    return 0;
}

static void test_the_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *value;
    } rows[] = {
        {"id", ""},
        {"broker", ""},
        {"port", "8883"},
        {"bootstrap-port", "8884"},
        {"backoff-min-ms", "1000"},
        {"backoff-max-ms", "300000"},
        {"time-server", ""},
    };
    cert_settings_t settings;
    cert_settings_default(&settings);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char value[CERT_HOST_MAX + 1];
        assert_string_equal(cert_settings_key(i), rows[i].key);
        assert_int_equal(cert_settings_get(&settings, rows[i].key, value, sizeof(value)), CERT_OK);
        assert_string_equal(value, rows[i].value);
    }
    assert_null(cert_settings_key(COUNT(rows)));
}

static void test_what_is_set_survives_a_restart(void **state)
{
    settings_test_t *test = *state;
    assert_int_equal(cert_settings_set(&test->settings, &test->port, "id", "pump-0042"), CERT_OK);
    assert_int_equal(cert_settings_set(&test->settings, &test->port, "broker", "mqtt.example.com"), CERT_OK);
    assert_int_equal(cert_settings_set(&test->settings, &test->port, "port", "18883"), CERT_OK);
    cert_settings_t loaded;
    cert_settings_default(&loaded);
    assert_int_equal(cert_settings_load(&loaded, &test->port), CERT_OK);
    assert_string_equal(loaded.id, "pump-0042");
    assert_string_equal(loaded.broker, "mqtt.example.com");
    assert_int_equal(loaded.port, 18883);
    assert_int_equal(loaded.bootstrap_port, 8884);
}

static void test_the_longest_values_can_be_stored_together(void **state)
{
    settings_test_t *test = *state;
    char host[CERT_HOST_MAX + 1];
    char id[CERT_DEVICE_ID_MAX + 1];
    memset(host, 'h', CERT_HOST_MAX);
    host[CERT_HOST_MAX] = '\0';
    memset(id, 'i', CERT_DEVICE_ID_MAX);
    id[CERT_DEVICE_ID_MAX] = '\0';
    assert_int_equal(cert_settings_set(&test->settings, &test->port, "broker", host), CERT_OK);
    assert_int_equal(cert_settings_set(&test->settings, &test->port, "time-server", host), CERT_OK);
    assert_int_equal(cert_settings_set(&test->settings, &test->port, "id", id), CERT_OK);
    assert_int_equal(cert_settings_set(&test->settings, &test->port, "port", "65535"), CERT_OK);
    assert_int_equal(cert_settings_set(&test->settings, &test->port, "bootstrap-port", "65535"), CERT_OK);
    assert_int_equal(cert_settings_set(&test->settings, &test->port, "backoff-max-ms", "86400000"), CERT_OK);
    assert_int_equal(cert_settings_set(&test->settings, &test->port, "backoff-min-ms", "3600000"), CERT_OK);
    cert_settings_t loaded;
    cert_settings_default(&loaded);
    assert_int_equal(cert_settings_load(&loaded, &test->port), CERT_OK);
    assert_memory_equal(&loaded, &test->settings, sizeof(loaded));
}

static void test_a_bad_value_changes_nothing(void **state)
{
    settings_test_t *test = *state;
    static const struct {
        const char *key;
        const char *value;
    } rows[] = {
        {"id", ""},
        {"id", "ab"},
        {"id", "-pump"},
        {"id", "pump 42"},
        {"id", "pump/42"},
        {"id", "pump#"},
        {"id", "pump+"},
        {"id", "p\xc3\xbcmp"},
        {"broker", ""},
        {"broker", "a b"},
        {"broker", "mqtts://host"},
        {"broker", "ho\"st"},
        {"time-server", ""},
        {"time-server", "ntp://host"},
        {"port", "0"},
        {"port", "65536"},
        {"port", "-1"},
        {"port", "+5"},
        {"port", "8883x"},
        {"port", ""},
        {"port", " 1"},
        {"port", "4294967297"},
        {"port", "99999999999999999999"},
        {"backoff-min-ms", "9"},
        {"backoff-min-ms", "3600001"},
        {"backoff-min-ms", "300001"},
        {"backoff-max-ms", "999"},
        {"backoff-max-ms", "86400001"},
    };
    cert_settings_t before = test->settings;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (cert_settings_set(&test->settings, &test->port, rows[i].key, rows[i].value) != CERT_ERR_INVALID_ARG) {
            fail_msg("%s = \"%s\" was not refused as it should be", rows[i].key, rows[i].value);
        }
    }
    assert_memory_equal(&test->settings, &before, sizeof(before));
    assert_int_equal(test->fake.changes, 0);
}

static void test_a_value_of_64_characters_is_an_id_and_65_are_not(void **state)
{
    settings_test_t *test = *state;
    char id[CERT_DEVICE_ID_MAX + 2];
    memset(id, 'i', sizeof(id));
    id[CERT_DEVICE_ID_MAX + 1] = '\0';
    assert_int_equal(cert_settings_set(&test->settings, &test->port, "id", id), CERT_ERR_INVALID_ARG);
    id[CERT_DEVICE_ID_MAX] = '\0';
    assert_int_equal(cert_settings_set(&test->settings, &test->port, "id", id), CERT_OK);
}

static void test_an_unknown_key_is_not_found(void **state)
{
    settings_test_t *test = *state;
    char value[8];
    assert_int_equal(cert_settings_set(&test->settings, &test->port, "colour", "blue"), CERT_ERR_NOT_FOUND);
    assert_int_equal(cert_settings_get(&test->settings, "colour", value, sizeof(value)), CERT_ERR_NOT_FOUND);
}

static void test_a_value_that_does_not_fit_the_buffer_is_not_cut(void **state)
{
    settings_test_t *test = *state;
    char value[4];
    assert_int_equal(cert_settings_get(&test->settings, "port", value, sizeof(value)), CERT_ERR_TOO_LARGE);
}

static void test_a_store_that_cannot_be_written_keeps_the_old_value(void **state)
{
    settings_test_t *test = *state;
    test->fake.write_status = CERT_ERR_STORAGE_FULL;
    assert_int_equal(cert_settings_set(&test->settings, &test->port, "port", "1"), CERT_ERR_STORAGE_FULL);
    assert_int_equal(test->settings.port, 8883);
}

static unsigned s_left; /* allocations until the one that is refused; 0: none */

static void *refuse_one(size_t size)
{
    if (s_left == 1) {
        s_left = 0;
        return NULL;
    }
    s_left -= s_left > 0;
    return malloc(size);
}

static void test_want_of_memory_loses_no_setting(void **state)
{
    settings_test_t *test = *state;
    cert_settings_set(&test->settings, &test->port, "id", "sensor-17");
    cert_settings_set(&test->settings, &test->port, "broker", "mqtt.example.com");
    cJSON_Hooks hooks = { .malloc_fn = refuse_one, .free_fn = free };
    cJSON_InitHooks(&hooks);
    bool was_refused = true;
    for (unsigned number = 1; was_refused; number++) {
        char value[8];
        snprintf(value, sizeof(value), "%u", 1000 + number);
        s_left = number;
        cert_status_t status = cert_settings_set(&test->settings, &test->port, "port", value);
        was_refused = s_left == 0;
        s_left = 0;
        assert_int_equal(status, was_refused ? CERT_ERR_INTERNAL : CERT_OK);
        cert_settings_t stored;
        cert_settings_default(&stored);
        assert_int_equal(cert_settings_load(&stored, &test->port), CERT_OK);
        assert_memory_equal(&stored, &test->settings, sizeof(stored));
        assert_string_equal(stored.id, "sensor-17");
    }
    assert_int_not_equal(test->settings.port, 8883);
    cJSON_InitHooks(NULL);
}

static void test_corrupt_settings_are_reported_and_not_half_used(void **state)
{
    settings_test_t *test = *state;
    static const char *const texts[] = {
        "",
        "garbage",
        "[]",
        "{\"port\":\"18883\"",
        "{\"port\":18883}",
        "{\"id\":\"x\"}",
        "{\"broker\":\"good\",\"port\":\"0\"}",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        test->port.kv_write(test->port.ctx, "settings", (const uint8_t *)texts[i], strlen(texts[i]));
        cert_settings_t before = test->settings;
        assert_int_equal(cert_settings_load(&test->settings, &test->port), CERT_ERR_CORRUPT);
        assert_memory_equal(&test->settings, &before, sizeof(before));
    }
}

static void test_a_setting_of_a_later_version_is_ignored(void **state)
{
    settings_test_t *test = *state;
    static const char text[] = "{\"port\":\"18883\",\"colour\":\"blue\"}";
    test->port.kv_write(test->port.ctx, "settings", (const uint8_t *)text, strlen(text));
    assert_int_equal(cert_settings_load(&test->settings, &test->port), CERT_OK);
    assert_int_equal(test->settings.port, 18883);
}

static void test_a_store_that_cannot_be_read_is_reported(void **state)
{
    settings_test_t *test = *state;
    test->fake.read_status = CERT_ERR_STORAGE;
    assert_int_equal(cert_settings_load(&test->settings, &test->port), CERT_ERR_STORAGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fake_platform_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_defaults),
        TEST(test_what_is_set_survives_a_restart),
        TEST(test_the_longest_values_can_be_stored_together),
        TEST(test_a_bad_value_changes_nothing),
        TEST(test_a_value_of_64_characters_is_an_id_and_65_are_not),
        TEST(test_an_unknown_key_is_not_found),
        TEST(test_a_value_that_does_not_fit_the_buffer_is_not_cut),
        TEST(test_a_store_that_cannot_be_written_keeps_the_old_value),
        TEST(test_want_of_memory_loses_no_setting),
        TEST(test_corrupt_settings_are_reported_and_not_half_used),
        TEST(test_a_setting_of_a_later_version_is_ignored),
        TEST(test_a_store_that_cannot_be_read_is_reported),
    };
    return RUN_TESTS(tests);
}
