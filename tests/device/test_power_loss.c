/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * The power goes before the first change of the store, before the second, and so on, until a whole life story passes
 * undisturbed; a cloud keeps answering. Whenever the power comes back, the device has to end up online with an identity
 * that the cloud accepts, and with a clean store.
 */
#include <stdio.h>
#include <stdlib.h>

#include "identity_store.h"
#include "test_device.h"
#include "testing.h"

/** Longer than any story takes. */
#define CHANGES_MAX 60
#define STEPS_MAX 40

/** What the cloud remembers of the device. */
typedef struct {
    test_device_t *device;
    char *answer;                 /* of a rotation by CSR, made once */
    char old_id[CERT_ID_LEN + 1]; /* in use before the rotation; "" before the enrolment */
    char new_id[CERT_ID_LEN + 1]; /* issued last */
    bool committed;
} cloud_t;

static void id_of_connection(const test_device_t *device, char *id)
{
    pki_certificate_id(device->fake.connect.chain_pem, id);
}

/** Does the device go on by itself? It is not when the power is lost. */
static bool is_alive(const test_device_t *device)
{
    return !device->fake.power_lost;
}

/** One step of the enrolment. @return true when it is done */
static bool step_enrolment(cloud_t *cloud)
{
    test_device_t *device = cloud->device;
    if (device->agent.phase == CERT_PHASE_CONNECTING) {
        device_connected(device);
    }
    if (is_alive(device) && device->agent.phase == CERT_PHASE_ONLINE &&
        device->agent.using == CERT_IDENTITY_BOOTSTRAP) {
        const test_leaf_t leaf = pki_good_leaf();
        device_receive_from(device, TOPIC_ACCEPTED, cloud_answer(device, TOPIC_ENROLL, &leaf));
    }
    if (device->agent.phase == CERT_PHASE_WAITING) {
        device_wait(device);
    }
    return is_alive(device) && device->agent.phase == CERT_PHASE_ONLINE &&
           device->agent.using == CERT_IDENTITY_OPERATIONAL;
}

/** The cloud lets in the certificate issued last, and the one before it until the commit. */
static void let_in_or_refuse(cloud_t *cloud)
{
    test_device_t *device = cloud->device;
    char id[CERT_ID_LEN + 1];
    id_of_connection(device, id);
    if (strcmp(id, cloud->new_id) == 0 || (strcmp(id, cloud->old_id) == 0 && !cloud->committed)) {
        device_connected(device);
    } else {
        fail_msg("the device came with certificate %s, which the cloud has never issued or has superseded", id);
    }
}

/** One step of a rotation by CSR, as the cloud conducts it. @return true when it is done */
static bool step_rotation(cloud_t *cloud)
{
    test_device_t *device = cloud->device;
    char id[CERT_ID_LEN + 1];
    if (device->agent.phase == CERT_PHASE_WAITING) {
        device_wait(device);
    }
    if (device->agent.phase == CERT_PHASE_CONNECTING) {
        let_in_or_refuse(cloud);
    }
    if (!is_alive(device) || device->agent.phase != CERT_PHASE_ONLINE) {
        return false;
    }
    id_of_connection(device, id);
    if (cloud->new_id[0] != '\0' && strcmp(id, cloud->new_id) == 0) {
        cloud->committed = true;
        device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
        return is_alive(device) && device->agent.using == CERT_IDENTITY_OPERATIONAL;
    }
    device_receive(device, TOPIC_ROTATE, "{\"rotation_id\":\"r1\",\"mode\":\"csr\",\"key\":\"ec-p256\"}");
    if (is_alive(device) && fake_port_last_message(&device->fake, TOPIC_CSR) != NULL) {
        const test_leaf_t leaf = pki_good_leaf();
        char *answer = cloud_answer(device, TOPIC_CSR, &leaf);
        strcpy(cloud->new_id, device->certificate_id);
        device_receive_from(device, TOPIC_ISSUED, answer);
    }
    return false;
}

/** One step of a pushed rotation. @return true when it is done */
static bool step_push(cloud_t *cloud)
{
    test_device_t *device = cloud->device;
    char id[CERT_ID_LEN + 1];
    if (device->agent.phase == CERT_PHASE_WAITING) {
        device_wait(device);
    }
    if (device->agent.phase == CERT_PHASE_CONNECTING) {
        let_in_or_refuse(cloud);
    }
    if (!is_alive(device) || device->agent.phase != CERT_PHASE_ONLINE) {
        return false;
    }
    id_of_connection(device, id);
    if (strcmp(id, cloud->new_id) == 0) {
        cloud->committed = true;
        device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, "r1"));
        return is_alive(device) && device->agent.using == CERT_IDENTITY_OPERATIONAL;
    }
    if (cloud->answer == NULL) {
        cloud->answer = cloud_push_good(device, "r1");
        strcpy(cloud->new_id, device->certificate_id);
    }
    device_receive(device, TOPIC_ROTATE, cloud->answer);
    return false;
}

/** The trial is refused until it is rolled back. @return true when the device is back on its old certificate */
static bool step_rollback(cloud_t *cloud)
{
    test_device_t *device = cloud->device;
    char id[CERT_ID_LEN + 1];
    if (device->agent.phase == CERT_PHASE_WAITING) {
        device_wait(device);
        return false;
    }
    id_of_connection(device, id);
    if (strcmp(id, cloud->old_id) != 0) {
        device_failed(device, CERT_FAILURE_IDENTITY_REFUSED);
        return false;
    }
    if (device->agent.phase == CERT_PHASE_CONNECTING) {
        device_connected(device);
    }
    if (is_alive(device) && cloud->answer == NULL) {
        cloud->answer = cloud_push_good(device, "r1");
        device_receive(device, TOPIC_ROTATE, cloud->answer);
        return false;
    }
    return is_alive(device) && device->agent.phase == CERT_PHASE_ONLINE &&
           device->agent.using == CERT_IDENTITY_OPERATIONAL;
}

/** Nothing is left over: one identity, in the current slot, and the record says so after another restart, too. */
static void assert_clean(test_device_t *device)
{
    device_power_cycle(device);
    device_connected(device);
    assert_int_equal(device->agent.using, CERT_IDENTITY_OPERATIONAL);
    assert_int_equal(device->agent.record.trial, CERT_SLOT_NONE);
    bool current_is_a = device->agent.record.current == CERT_SLOT_A;
    assert_non_null(fake_port_value(&device->fake, current_is_a ? "slot_a" : "slot_b"));
    assert_null(fake_port_value(&device->fake, current_is_a ? "slot_b" : "slot_a"));
    assert_true(
        pki_key_belongs(device->fake.connect.key, device->fake.connect.key_len, device->fake.connect.chain_pem));
}

/** Tell a story; after `power_left` changes the power goes, comes back, and the story goes on. @return was it cut? */
static bool tell(cloud_t *cloud, bool (*step)(cloud_t *cloud), int power_left)
{
    test_device_t *device = cloud->device;
    bool was_cut = false;
    device->fake.power_left = power_left;
    for (int steps = 0; steps < STEPS_MAX; steps++) {
        bool done = step(cloud);
        if (!is_alive(device)) {
            was_cut = true;
            fake_port_forget(&device->fake);
            device_power_cycle(device);
        } else if (done) {
            device->fake.power_left = -1;
            return was_cut;
        }
    }
    fail_msg("after a cut before change %d the story did not come to its end", power_left + 1);
    return false;
}

/**
 * Tell a story with the power cut before each of its changes.
 * @param enrolled  Does it begin with an enrolled device?
 */
static void sweep(bool (*step)(cloud_t *cloud), bool enrolled)
{
    int power_left = 0;
    bool was_cut = true;
    for (; was_cut && power_left < CHANGES_MAX; power_left++) {
        void *state;
        test_device_setup(&state);
        cloud_t cloud = {.device = state};
        if (enrolled) {
            device_enroll(cloud.device);
            strcpy(cloud.old_id, cloud.device->certificate_id);
        } else {
            device_boot(cloud.device);
        }
        was_cut = tell(&cloud, step, power_left);
        assert_clean(cloud.device);
        free(cloud.answer);
        test_device_teardown(&state);
    }
    assert_in_range(power_left, 4, CHANGES_MAX - 1); /* the story did change the store, and was told to its end once */
}

static void test_power_lost_at_any_change_of_an_enrolment(void **state)
{
    (void)state;
    sweep(step_enrolment, false);
}

static void test_power_lost_at_any_change_of_a_rotation_by_csr(void **state)
{
    (void)state;
    sweep(step_rotation, true);
}

static void test_power_lost_at_any_change_of_a_pushed_rotation(void **state)
{
    (void)state;
    sweep(step_push, true);
}

static void test_power_lost_at_any_change_of_a_rollback(void **state)
{
    (void)state;
    sweep(step_rollback, true);
}

static void test_power_lost_at_any_change_of_a_factory_reset(void **state)
{
    (void)state;
    for (int power_left = 0; power_left < 8; power_left++) {
        void *own_state;
        test_device_setup(&own_state);
        test_device_t *device = own_state;
        device_enroll(device);
        device->fake.power_left = power_left;
        cert_agent_factory_reset(&device->agent);
        fake_port_forget(&device->fake);
        device_power_cycle(device);
        cloud_t cloud = {.device = device};
        strcpy(cloud.new_id, device->certificate_id);
        tell(&cloud, step_enrolment, -1);
        assert_clean(device);
        test_device_teardown(&own_state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_lost_at_any_change_of_an_enrolment),
        cmocka_unit_test(test_power_lost_at_any_change_of_a_rotation_by_csr),
        cmocka_unit_test(test_power_lost_at_any_change_of_a_pushed_rotation),
        cmocka_unit_test(test_power_lost_at_any_change_of_a_rollback),
        cmocka_unit_test(test_power_lost_at_any_change_of_a_factory_reset),
    };
    return RUN_TESTS(tests);
}
