/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <sys/stat.h>

#include "state_dir.h"
#include "test_dir.h"

static state_dir_t s_state;
static state_dir_t s_other;

static int setup(void **state)
{
    char path[4096];
    test_dir_setup(state);
    snprintf(path, sizeof(path), "%s/a/b/device", (char *)*state);
    return setenv("CERT_AGENT_HOME", path, 1);
}

static void test_it_is_made_with_its_parents_for_the_owner_only(void **state)
{
    (void)state;
    struct stat info;
    assert_true(state_dir_open(&s_state));
    assert_int_equal(stat(getenv("CERT_AGENT_HOME"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    state_dir_close(&s_state);
}

static void test_without_cert_agent_home_it_is_where_state_belongs(void **state)
{
    char expected[4096];
    unsetenv("CERT_AGENT_HOME");
    setenv("XDG_STATE_HOME", *state, 1);
    assert_true(state_dir_open(&s_state));
    snprintf(expected, sizeof(expected), "%s/cert_agent", (char *)*state);
    assert_string_equal(s_state.path, expected);
    state_dir_close(&s_state);
    unsetenv("XDG_STATE_HOME");
    setenv("HOME", *state, 1);
    assert_true(state_dir_open(&s_state));
    snprintf(expected, sizeof(expected), "%s/.local/state/cert_agent", (char *)*state);
    assert_string_equal(s_state.path, expected);
    state_dir_close(&s_state);
}

static void test_nowhere_to_be_is_an_error(void **state)
{
    (void)state;
    setenv("CERT_AGENT_HOME", "", 1);
    assert_false(state_dir_open(&s_state));
    setenv("CERT_AGENT_HOME", "/dev/null/device", 1);
    assert_false(state_dir_open(&s_state));
}

static void test_two_agents_cannot_be_the_same_device(void **state)
{
    (void)state;
    assert_true(state_dir_open(&s_state));
    assert_false(state_dir_open(&s_other));
    state_dir_close(&s_state);
    assert_true(state_dir_open(&s_other));
    state_dir_close(&s_other);
}

static void test_boot_ram_survives_a_restart_and_not_a_loss_of_power(void **state)
{
    (void)state;
    assert_true(state_dir_open(&s_state));
    assert_int_equal(s_state.boot_ram->boots, 0);
    s_state.boot_ram->boots = 42;
    state_dir_close(&s_state);
    assert_true(state_dir_open(&s_state));
    assert_int_equal(s_state.boot_ram->boots, 42);
    assert_int_equal(state_dir_power_cycle(&s_state), CERT_OK);
    assert_int_equal(state_dir_power_cycle(&s_state), CERT_OK);
    state_dir_close(&s_state);
    assert_true(state_dir_open(&s_state));
    assert_int_equal(s_state.boot_ram->boots, 0);
    state_dir_close(&s_state);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, test_dir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_it_is_made_with_its_parents_for_the_owner_only),
        TEST(test_without_cert_agent_home_it_is_where_state_belongs),
        TEST(test_nowhere_to_be_is_an_error),
        TEST(test_two_agents_cannot_be_the_same_device),
        TEST(test_boot_ram_survives_a_restart_and_not_a_loss_of_power),
    };
    return RUN_TESTS(tests);
}
