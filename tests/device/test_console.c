/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "cert_mgmt/cert_console.h"
#include "test_device.h"
#include "testing.h"

typedef struct {
    test_device_t *device;
    cert_settings_t settings;
    cert_log_level_t log_level;
    cert_console_t console;
    char lines[32][2048];
    unsigned line_count;
    unsigned power_cycles;
} console_test_t;

static void print_line(void *ctx, const char *text)
{
    console_test_t *test = ctx;
    assert_true(test->line_count < COUNT(test->lines));
    snprintf(test->lines[test->line_count++], sizeof(test->lines[0]), "%s", text);
}

static cert_status_t power_cycle(void *ctx)
{
    console_test_t *test = ctx;
    test->power_cycles++;
    return CERT_OK;
}

static int setup(void **state)
{
    console_test_t *test = calloc(1, sizeof(*test));
    void *device;
    test_device_setup(&device);
    test->device = device;
    cert_settings_default(&test->settings);
    snprintf(test->settings.id, sizeof(test->settings.id), TEST_DEVICE);
    test->log_level = CERT_LOG_INFO;
    test->console = (cert_console_t){
        .agent = &test->device->agent,
        .settings = &test->settings,
        .port = &test->device->port,
        .log_level = &test->log_level,
        .ctx = test,
        .print = print_line,
        .power_cycle = power_cycle,
    };
    *state = test;
    return 0;
}

static int teardown(void **state)
{
    console_test_t *test = *state;
    void *device = test->device;
    test_device_teardown(&device);
    free(test);
    return 0;
}

/** Run a command; return its first line, NULL if it printed nothing. */
static const char *run(console_test_t *test, const char *line)
{
    test->line_count = 0;
    cert_console_run(&test->console, line);
    return test->line_count > 0 ? test->lines[0] : NULL;
}

static void assert_begins(const char *line, const char *beginning)
{
    assert_non_null(line);
    if (strncmp(line, beginning, strlen(beginning)) != 0) {
        fail_msg("\"%s\" does not begin with \"%s\"", line, beginning);
    }
}

static void test_help_names_every_command(void **state)
{
    console_test_t *test = *state;
    static const char *const names[] = {
        "help", "status", "csr", "config get", "config set", "restart", "powercycle", "factory-reset", "log",
    };
    run(test, "help");
    for (size_t i = 0; i < COUNT(names); i++) {
        bool found = false;
        for (unsigned line = 0; line < test->line_count; line++) {
            found = found || strstr(test->lines[line], names[i]) != NULL;
        }
        assert_true(found);
    }
}

static void test_an_empty_line_does_nothing(void **state)
{
    console_test_t *test = *state;
    assert_null(run(test, ""));
    assert_null(run(test, "   \t "));
}

static void test_an_unknown_command_is_an_error(void **state)
{
    console_test_t *test = *state;
    assert_begins(run(test, "reboot"), "error: ");
    assert_begins(run(test, "STATUS"), "error: ");
    assert_begins(run(test, "statusx"), "error: ");
}

static void test_words_too_few_or_too_many_are_an_error(void **state)
{
    console_test_t *test = *state;
    static const char *const lines[] = {
        "status now",          "csr ec rsa",        "config",
        "config set",          "config set port",   "config set port 1 2",
        "config get port now", "config put port 1", "restart now please and again",
        "log info now",        "help me",           "factory-reset now",
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_begins(run(test, lines[i]), "error: ");
        assert_int_equal(test->line_count, 1);
    }
    assert_int_equal(test->device->fake.restarts, 0);
}

static void test_a_line_too_long_is_an_error(void **state)
{
    console_test_t *test = *state;
    char line[CERT_CONSOLE_LINE_MAX + 2];
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    assert_begins(run(test, line), "error: ");
    line[CERT_CONSOLE_LINE_MAX] = '\0';
    assert_begins(run(test, line), "error: ");
}

static void test_status_says_who_the_device_is_before_and_after_enrolment(void **state)
{
    console_test_t *test = *state;
    assert_begins(run(test, "status"), "status: ");
    device_enroll(test->device);
    const char *line = run(test, "status");
    assert_begins(line, "status: id=" TEST_DEVICE " phase=online identity=operational slot=A generation=1 ");
    assert_non_null(strstr(line, test->device->certificate_id));
    assert_non_null(strstr(line, "not_after=2028-01-15T08:00:00Z"));
}

static void assert_time(console_test_t *test, const char *line)
{
    run(test, "status");
    assert_int_equal(test->line_count, 2);
    assert_string_equal(test->lines[1], line);
}

static void test_status_says_what_time_it_is_and_who_says_so(void **state)
{
    console_test_t *test = *state;
    device_boot(test->device);
    assert_time(test, "time: now=2027-01-15T08:00:00Z source=clock");
    test->console.clock_source = "sntp";
    assert_time(test, "time: now=2027-01-15T08:00:00Z source=sntp");
}

static void test_status_says_that_the_time_is_not_known(void **state)
{
    console_test_t *test = *state;
    device_boot(test->device);
    test->console.clock_source = "sntp";
    static const int64_t clocks[] = {0, TEST_NOW - 31 * TEST_DAY}; /* not set; before this firmware was built */
    for (size_t i = 0; i < COUNT(clocks); i++) {
        test->device->fake.clock = clocks[i];
        assert_time(test, "time: now=2026-12-16T08:00:00Z or later source=floor");
    }
}

static void test_a_device_without_an_agent_says_nothing_about_the_time(void **state)
{
    console_test_t *test = *state;
    cert_agent_t none = {0};
    test->console.agent = &none;
    assert_begins(run(test, "status"), "status: phase=stopped");
    assert_int_equal(test->line_count, 1);
}

static void test_the_longest_status_fits_its_line(void **state)
{
    console_test_t *test = *state;
    test_device_t *device = test->device;
    char id[CERT_DEVICE_ID_MAX + 1];
    char line[CERT_LOG_LINE_MAX];
    memset(id, 'x', CERT_DEVICE_ID_MAX);
    id[CERT_DEVICE_ID_MAX] = '\0';
    device_enroll(device);
    device->config.device_id = id;
    device->agent.phase = CERT_PHASE_CONNECTING;
    device->agent.record.current = CERT_SLOT_NONE;
    device->agent.record.generation = UINT32_MAX;
    device->agent.refusals = UINT32_MAX;
    device->agent.has_failed = true;
    device->agent.last_failure = CERT_FAILURE_SERVER_UNTRUSTED;
    cert_agent_status_line(&device->agent, line, sizeof(line));
    assert_non_null(strstr(line, "last_failure=server_untrusted"));
}

static void test_csr_prints_a_request_that_openssl_verifies(void **state)
{
    console_test_t *test = *state;
    static const struct {
        const char *command;
        int id;
    } rows[] = {{"csr", EVP_PKEY_EC}, {"csr ec", EVP_PKEY_EC}, {"csr rsa", EVP_PKEY_RSA}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        char name[65];
        EVP_PKEY *key = pki_csr_key(run(test, rows[i].command), name);
        assert_string_equal(name, TEST_DEVICE);
        assert_int_equal(EVP_PKEY_get_base_id(key), rows[i].id);
        EVP_PKEY_free(key);
    }
    assert_begins(run(test, "csr dsa"), "error: ");
}

static void test_csr_does_not_touch_the_store(void **state)
{
    console_test_t *test = *state;
    device_enroll(test->device);
    unsigned changes = test->device->fake.changes;
    run(test, "csr");
    assert_int_equal(test->device->fake.changes, changes);
}

static void test_a_setting_is_set_and_shown(void **state)
{
    console_test_t *test = *state;
    assert_string_equal(run(test, "config set broker mqtt.example.com"), "config: broker=mqtt.example.com");
    assert_string_equal(run(test, "  config   get\tbroker "), "config: broker=mqtt.example.com");
    run(test, "config get");
    assert_int_equal(test->line_count, 7);
}

static void test_a_bad_setting_is_an_error_and_changes_nothing(void **state)
{
    console_test_t *test = *state;
    assert_begins(run(test, "config set port 70000"), "error: ");
    assert_begins(run(test, "config set colour blue"), "error: ");
    assert_begins(run(test, "config get colour"), "error: ");
    test->device->fake.write_status = CERT_ERR_STORAGE_FULL;
    assert_begins(run(test, "config set port 1"), "error: ");
    assert_string_equal(run(test, "config get port"), "config: port=8883");
}

static void test_restart_restarts(void **state)
{
    console_test_t *test = *state;
    assert_begins(run(test, "restart"), "restart: ");
    assert_int_equal(test->device->fake.restarts, 1);
}

static void test_a_power_cycle_is_left_to_the_port(void **state)
{
    console_test_t *test = *state;
    assert_begins(run(test, "powercycle"), "powercycle: ");
    assert_int_equal(test->power_cycles, 1);
    test->console.power_cycle = NULL;
    assert_begins(run(test, "powercycle"), "error: ");
}

static void test_factory_reset_forgets_the_identity_and_restarts(void **state)
{
    console_test_t *test = *state;
    device_enroll(test->device);
    assert_begins(run(test, "factory-reset"), "factory-reset: ");
    assert_int_equal(test->device->fake.restarts, 1);
    device_boot(test->device);
    assert_int_equal(test->device->fake.connect.identity, CERT_IDENTITY_BOOTSTRAP);
    assert_null(fake_port_value(&test->device->fake, "slot_a"));
}

static void test_factory_reset_reports_a_store_that_fails(void **state)
{
    console_test_t *test = *state;
    device_enroll(test->device);
    test->device->fake.write_status = CERT_ERR_STORAGE;
    run(test, "factory-reset");
    assert_begins(test->lines[test->line_count - 1], "error: ");
    assert_int_equal(test->device->fake.restarts, 0);
}

static void test_the_log_level_is_shown_and_set(void **state)
{
    console_test_t *test = *state;
    assert_string_equal(run(test, "log"), "log: level=info");
    assert_string_equal(run(test, "log debug"), "log: level=debug");
    assert_int_equal(test->log_level, CERT_LOG_DEBUG);
    assert_begins(run(test, "log loud"), "error: ");
    assert_int_equal(test->log_level, CERT_LOG_DEBUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_help_names_every_command, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_empty_line_does_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_unknown_command_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_words_too_few_or_too_many_are_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_line_too_long_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_status_says_who_the_device_is_before_and_after_enrolment, setup, teardown),
        cmocka_unit_test_setup_teardown(test_status_says_what_time_it_is_and_who_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_status_says_that_the_time_is_not_known, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_device_without_an_agent_says_nothing_about_the_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_longest_status_fits_its_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_csr_prints_a_request_that_openssl_verifies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_csr_does_not_touch_the_store, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_setting_is_set_and_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_bad_setting_is_an_error_and_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart_restarts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_power_cycle_is_left_to_the_port, setup, teardown),
        cmocka_unit_test_setup_teardown(test_factory_reset_forgets_the_identity_and_restarts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_factory_reset_reports_a_store_that_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_log_level_is_shown_and_set, setup, teardown),
    };
    return RUN_TESTS(tests);
}
