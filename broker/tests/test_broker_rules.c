/* SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0 */

/* The plugin's rules without a broker: access table, identities in user names, the memory of verdicts. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

#include "acl.h"
#include "identity.h"
#include "sessions.h"
#include "stamp.h"
#include "verdict_cache.h"
#include "verdict_client.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DAY_MS (24 * 60 * 60 * 1000)

/* Clients are compared by address only. */
static const char CLIENTS[2];

static void check_access(role_t role, const char *client_id, int access, const char *topic, bool expected)
{
    if (acl_allows(role, client_id, access, topic) != expected) {
        fail_msg("role %d as %s, access %d, %s: expected %s", (int)role, client_id, access, topic,
                 expected ? "allowed" : "denied");
    }
}

static void a_device_lives_below_its_own_id(void **state)
{
    (void)state;
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_SUBSCRIBE, "devices/dev-1/#", true);
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_SUBSCRIBE, "devices/dev-1/certs/+", true);
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_READ, "devices/dev-1/certs/rotate", true);
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_WRITE, "devices/dev-1/telemetry", true);

    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_SUBSCRIBE, "devices/dev-10/#", false);
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_SUBSCRIBE, "devices/+/certs/rotate", false);
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_SUBSCRIBE, "$share/g/devices/dev-1/#", false);
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_SUBSCRIBE, "#", false);
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_READ, "$SYS/broker/version", false);
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_WRITE, "devices/dev-2/telemetry", false);
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_WRITE, "bootstrap/dev-1/enroll", false);
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_WRITE, "$CONTROL/fleetpki/v1/disconnect", false);
}

static void a_device_writes_only_two_certificate_topics(void **state)
{
    (void)state;
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_WRITE, "devices/dev-1/certs/csr", true);
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_WRITE, "devices/dev-1/certs/status", true);
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_WRITE, "devices/dev-1/certs/rotate", false);
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_WRITE, "devices/dev-1/certs/commit", false);
    check_access(ROLE_DEVICE, "dev-1", MOSQ_ACL_WRITE, "devices/dev-1/certs/status/x", false);
}

static void a_bootstrap_client_can_only_enroll_its_own_id(void **state)
{
    (void)state;
    check_access(ROLE_BOOTSTRAP, "dev-1", MOSQ_ACL_WRITE, "bootstrap/dev-1/enroll", true);
    check_access(ROLE_BOOTSTRAP, "dev-1", MOSQ_ACL_SUBSCRIBE, "bootstrap/dev-1/enroll/#", true);
    check_access(ROLE_BOOTSTRAP, "dev-1", MOSQ_ACL_READ, "bootstrap/dev-1/enroll/accepted", true);
    check_access(ROLE_BOOTSTRAP, "dev-1", MOSQ_ACL_READ, "bootstrap/dev-1/enroll/rejected", true);

    check_access(ROLE_BOOTSTRAP, "dev-1", MOSQ_ACL_WRITE, "bootstrap/dev-1/enroll/accepted", false);
    check_access(ROLE_BOOTSTRAP, "dev-1", MOSQ_ACL_READ, "bootstrap/dev-1/enroll", false);
    check_access(ROLE_BOOTSTRAP, "dev-1", MOSQ_ACL_SUBSCRIBE, "bootstrap/dev-2/enroll/#", false);
    check_access(ROLE_BOOTSTRAP, "dev-1", MOSQ_ACL_SUBSCRIBE, "devices/dev-1/#", false);
    check_access(ROLE_BOOTSTRAP, "dev-1", MOSQ_ACL_WRITE, "devices/dev-1/certs/status", false);
}

static void only_services_may_do_everything(void **state)
{
    (void)state;
    check_access(ROLE_SERVICE, "svc", MOSQ_ACL_SUBSCRIBE, "$share/fleetpki/devices/+/certs/csr", true);
    check_access(ROLE_SERVICE, "svc", MOSQ_ACL_WRITE, "$CONTROL/fleetpki/v1/disconnect", true);
    check_access(ROLE_NONE, "svc", MOSQ_ACL_WRITE, "devices/svc/x", false);
}

static void a_rotate_command_names_its_device(void **state)
{
    (void)state;
    char id[CLIENT_ID_MAX_LEN + 1];

    assert_true(acl_rotate_target("devices/dev-1/certs/rotate", id));
    assert_string_equal(id, "dev-1");
    assert_false(acl_rotate_target("devices/dev-1/certs/rotated", id));
    assert_false(acl_rotate_target("devices/dev-1/x/certs/rotate", id));
    assert_false(acl_rotate_target("devices/" ID_A "a/certs/rotate", id));
    assert_false(acl_rotate_target("bootstrap/dev-1/enroll", id));
}

static void an_identity_survives_the_way_through_a_user_name(void **state)
{
    (void)state;
    identity_t in = {.role = ROLE_BOOTSTRAP, .certificate_id = ID_A};
    identity_t out;
    char username[USERNAME_SIZE];

    identity_to_username(&in, username);
    assert_string_equal(username, "bootstrap:" ID_A);
    assert_true(identity_from_username(username, &out));
    assert_int_equal(out.role, ROLE_BOOTSTRAP);
    assert_string_equal(out.certificate_id, ID_A);
}

static void a_foreign_user_name_is_no_identity(void **state)
{
    (void)state;
    identity_t out;

    assert_false(identity_from_username(NULL, &out));
    assert_false(identity_from_username("", &out));
    assert_false(identity_from_username("admin", &out));
    assert_false(identity_from_username("root:" ID_A, &out));
    assert_false(identity_from_username("device:abc", &out));
    assert_false(identity_from_username("device:" ID_A "a", &out));
}

static void a_session_belongs_to_the_client_that_came_last(void **state)
{
    (void)state;
    sessions_t sessions = {.tree = NULL};
    const struct mosquitto *first = (const struct mosquitto *)&CLIENTS[0];
    const struct mosquitto *second = (const struct mosquitto *)&CLIENTS[1];

    assert_true(sessions_enter(&sessions, "dev-1", first, ROLE_DEVICE));
    assert_true(sessions_enter(&sessions, "dev-1", second, ROLE_DEVICE));
    assert_false(sessions_is_holder(&sessions, "dev-1", first));
    sessions_leave(&sessions, "dev-1", first);
    assert_true(sessions_is_holder(&sessions, "dev-1", second));
    sessions_leave(&sessions, "dev-1", second);
    assert_false(sessions_is_holder(&sessions, "dev-1", second));
    sessions_clear(&sessions);
}

static void a_session_ends_for_a_newcomer_in_the_same_role_only(void **state)
{
    (void)state;
    sessions_t sessions = {.tree = NULL};

    assert_true(sessions_may_take(&sessions, "dev-1", ROLE_BOOTSTRAP));
    assert_true(sessions_enter(&sessions, "dev-1", NULL, ROLE_BOOTSTRAP));
    assert_true(sessions_may_take(&sessions, "dev-1", ROLE_DEVICE));
    assert_true(sessions_enter(&sessions, "dev-1", NULL, ROLE_DEVICE));
    assert_true(sessions_may_take(&sessions, "dev-1", ROLE_DEVICE));
    assert_false(sessions_may_take(&sessions, "dev-1", ROLE_BOOTSTRAP));
    assert_false(sessions_may_take(&sessions, "dev-1", ROLE_SERVICE));
    assert_true(sessions_may_take(&sessions, "dev-2", ROLE_BOOTSTRAP));
    sessions_clear(&sessions);
}

static void certificate_topics_are_stamped_and_no_others(void **state)
{
    (void)state;
    assert_true(stamp_applies_to("bootstrap/dev-1/enroll"));
    assert_true(stamp_applies_to("devices/dev-1/certs/csr"));
    assert_true(stamp_applies_to("devices/dev-1/certs/status"));
    assert_false(stamp_applies_to("devices/dev-1/certs/rotate"));
    assert_false(stamp_applies_to("devices/dev-1/telemetry"));
}

static void a_verdict_is_remembered_for_its_client_id_until_forgotten_or_old(void **state)
{
    (void)state;
    verdict_cache_t *cache = verdict_cache_new();

    verdict_cache_put(cache, ID_A, "dev-1", ROLE_DEVICE, 1000);
    assert_int_equal(verdict_cache_get(cache, ID_A, "dev-1", 2000), ROLE_DEVICE);
    assert_int_equal(verdict_cache_get(cache, ID_A, "dev-2", 2000), ROLE_NONE);
    assert_int_equal(verdict_cache_get(cache, ID_A, "dev-1", 1001 + DAY_MS), ROLE_NONE);
    verdict_cache_forget(cache, ID_A);
    assert_int_equal(verdict_cache_get(cache, ID_A, "dev-1", 2000), ROLE_NONE);
    verdict_cache_free(cache);
}

static void a_service_is_remembered_under_every_client_id(void **state)
{
    (void)state;
    verdict_cache_t *cache = verdict_cache_new();

    verdict_cache_put(cache, ID_A, "mosq-1", ROLE_SERVICE, 1000);
    assert_int_equal(verdict_cache_get(cache, ID_A, "mosq-2", 2000), ROLE_SERVICE);
    verdict_cache_free(cache);
}

static void a_full_cache_forgets_the_oldest(void **state)
{
    (void)state;
    verdict_cache_t *cache = verdict_cache_new();
    char client_id[16];

    for (int i = 0; i < 5; i++) {
        snprintf(client_id, sizeof(client_id), "dev-%d", i);
        verdict_cache_put(cache, ID_A, client_id, ROLE_BOOTSTRAP, i);
    }
    assert_int_equal(verdict_cache_get(cache, ID_A, "dev-0", 10), ROLE_NONE);
    assert_int_equal(verdict_cache_get(cache, ID_A, "dev-1", 10), ROLE_BOOTSTRAP);
    assert_int_equal(verdict_cache_get(cache, ID_A, "dev-4", 10), ROLE_BOOTSTRAP);
    verdict_cache_free(cache);
}

static void a_missing_verdict_service_is_not_a_refusal(void **state)
{
    (void)state;
    verdict_client_t client;

    assert_true(verdict_client_init(&client, "/nonexistent/verdict.sock"));
    assert_int_equal(verdict_client_ask(&client, ID_A, "dev-1").result, VERDICT_UNAVAILABLE);
    assert_false(verdict_client_init(&client, ""));
    assert_false(verdict_client_init(&client, ID_A ID_A));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_lives_below_its_own_id),
        cmocka_unit_test(a_device_writes_only_two_certificate_topics),
        cmocka_unit_test(a_bootstrap_client_can_only_enroll_its_own_id),
        cmocka_unit_test(only_services_may_do_everything),
        cmocka_unit_test(a_rotate_command_names_its_device),
        cmocka_unit_test(an_identity_survives_the_way_through_a_user_name),
        cmocka_unit_test(a_foreign_user_name_is_no_identity),
        cmocka_unit_test(a_session_belongs_to_the_client_that_came_last),
        cmocka_unit_test(a_session_ends_for_a_newcomer_in_the_same_role_only),
        cmocka_unit_test(certificate_topics_are_stamped_and_no_others),
        cmocka_unit_test(a_verdict_is_remembered_for_its_client_id_until_forgotten_or_old),
        cmocka_unit_test(a_service_is_remembered_under_every_client_id),
        cmocka_unit_test(a_full_cache_forgets_the_oldest),
        cmocka_unit_test(a_missing_verdict_service_is_not_a_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
