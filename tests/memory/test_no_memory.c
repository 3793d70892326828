/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * Memory runs out: any one allocation of mbedTLS or cJSON fails, whatever the device is doing. It stays who it was, and
 * when there is memory again it does what it is told.
 */
#include <stdio.h>
#include <stdlib.h>

#include "failing_heap.h"
#include "test_device.h"
#include "testing.h"

/* Every one of the first allocations, and some of the thousands that a signature makes. */
#define DENSE 16
#define next_number(number) ((number) < DENSE ? (number) + 1 : 2 * (number))

/** Something that the device does. Nothing it needs is freed by it. */
typedef void (*deed_t)(test_device_t *device, const char *rotation_id);

static bool is_settled(const test_device_t *device)
{
    return device->agent.phase == CERT_PHASE_ONLINE && device->agent.using == CERT_IDENTITY_OPERATIONAL;
}

/** The cloud lets in whoever comes, answers requests to enrol, and commits. */
static void settle(test_device_t *device)
{
    const test_leaf_t leaf = pki_good_leaf();
    for (int i = 0; i < 20 && !is_settled(device); i++) {
        if (device->agent.phase == CERT_PHASE_WAITING) {
            device_wait(device);
        }
        if (device->agent.phase == CERT_PHASE_CONNECTING) {
            device_connected(device);
        }
        if (device->agent.using == CERT_IDENTITY_TRIAL) {
            device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, device->agent.identity.request_id));
        } else if (fake_port_last_message(&device->fake, TOPIC_ENROLL) != NULL) {
            device_receive_from(device, TOPIC_ACCEPTED, cloud_answer(device, TOPIC_ENROLL, &leaf));
            fake_port_forget(&device->fake);
        } else {
            device_wait(device); /* what was not said is said again */
        }
    }
    assert_true(is_settled(device));
}

static void assert_rotates(test_device_t *device)
{
    uint32_t generation = device->agent.record.generation;
    char id[32];
    snprintf(id, sizeof(id), "after-%u", (unsigned)generation);
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, id));
    settle(device);
    assert_int_equal(device->agent.record.generation, generation + 1);
}

/** The deed, with each allocation in turn refused. */
static void sweep(test_device_t *device, deed_t prepare, deed_t deed)
{
    bool was_refused = true;
    for (unsigned number = 1; was_refused; number = next_number(number)) {
        char id[32];
        snprintf(id, sizeof(id), "rotation-%u", number);
        fake_port_forget(&device->fake);
        prepare(device, id);
        uint32_t generation = device->agent.record.generation;
        failing_heap_refuse(number);
        deed(device, id);
        was_refused = failing_heap_stop();
        settle(device);
        assert_true(device->agent.record.generation >= generation);
        assert_rotates(device);
    }
}

static void do_nothing(test_device_t *device, const char *rotation_id)
{
    (void)device;
    (void)rotation_id;
}

static void order_rotation(test_device_t *device, const char *rotation_id)
{
    char order[128];
    snprintf(order, sizeof(order), "{\"rotation_id\":\"%s\",\"mode\":\"csr\",\"key\":\"ec-p256\"}", rotation_id);
    device_receive(device, TOPIC_ROTATE, order);
}

static void answer_request(test_device_t *device, const char *rotation_id)
{
    (void)rotation_id;
    device_receive_from(device, TOPIC_ISSUED, cloud_answer_csr(device));
}

static void push(test_device_t *device, const char *rotation_id)
{
    device_receive_from(device, TOPIC_ROTATE, cloud_push_good(device, rotation_id));
}

static void go_on_trial(test_device_t *device, const char *rotation_id)
{
    push(device, rotation_id);
    device_connected(device);
}

static void commit(test_device_t *device, const char *rotation_id)
{
    device_receive_from(device, TOPIC_COMMIT, cloud_commit(device, rotation_id));
}

static void reset(test_device_t *device, const char *rotation_id)
{
    (void)rotation_id;
    assert_int_equal(cert_agent_factory_reset(&device->agent), CERT_OK);
}

static void start_and_connect(test_device_t *device, const char *rotation_id)
{
    (void)rotation_id;
    device_boot(device);
    if (device->agent.phase == CERT_PHASE_CONNECTING) {
        device_connected(device);
    }
}

static void test_an_order_to_rotate(void **state)
{
    sweep(*state, do_nothing, order_rotation);
}

static void test_an_answer_to_a_request(void **state)
{
    sweep(*state, order_rotation, answer_request);
}

static void test_a_pushed_rotation(void **state)
{
    sweep(*state, do_nothing, push);
}

static void test_a_commit(void **state)
{
    sweep(*state, go_on_trial, commit);
}

static void test_a_start(void **state)
{
    sweep(*state, do_nothing, start_and_connect);
}

static void test_an_enrolment(void **state)
{
    sweep(*state, reset, start_and_connect);
}

static void fail_on_trial(test_device_t *device, const char *rotation_id)
{
    (void)rotation_id;
    device_failed(device, CERT_FAILURE_IDENTITY_REFUSED);
}

static void test_a_failure_on_trial(void **state)
{
    sweep(*state, go_on_trial, fail_on_trial);
}

/* ---------------------------------------------------------------- trust anchors */

/** Boot while memory is short, and as a port does again when it is not. @return whether it was short */
static bool boot_without_memory(test_device_t *device, void (*refuse)(unsigned), unsigned number)
{
    assert_int_equal(cert_agent_init(&device->agent, &device->config, &device->port), CERT_OK);
    refuse(number);
    cert_status_t status = cert_agent_boot(&device->agent, device->now_ms);
    bool was_refused = failing_heap_stop();
    if (status != CERT_OK) {
        assert_int_equal(status, CERT_ERR_INTERNAL);
        assert_int_equal(device->agent.phase, CERT_PHASE_STOPPED);
        assert_int_equal(cert_agent_boot(&device->agent, device->now_ms), CERT_OK);
    }
    return was_refused;
}

static void assert_boots_keep_the_anchors(test_device_t *device, uint32_t version, bool on_trial)
{
    static void (*const refusals[])(unsigned) = { failing_heap_refuse, failing_heap_refuse_from };
    for (size_t i = 0; i < COUNT(refusals); i++) {
        bool was_refused = true;
        for (unsigned number = 1; was_refused; number++) {
            was_refused = boot_without_memory(device, refusals[i], number);
            assert_int_equal(device->agent.trust.version, version);
            assert_int_equal(device->agent.trust_on_trial, on_trial);
        }
    }
}

static void test_a_start_keeps_the_anchors_it_has(void **state)
{
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_TRUST, cloud_trust_good(device, 1));
    assert_boots_keep_the_anchors(device, 1, true);
    device_tick(device);
    device_connected(device);
    assert_boots_keep_the_anchors(device, 1, false);
    device_tick(device);
    device_connected(device);
    device_receive_from(device, TOPIC_TRUST, cloud_trust_good(device, 2));
    assert_boots_keep_the_anchors(device, 2, true);
}

/** Until anchors that verify no server are given up, memory being short at the moment at which they should be. */
static bool give_up_anchors(test_device_t *device, void (*refuse)(unsigned), unsigned number)
{
    char *pems[] = { pki_authority_pem(&device->pki.foreign_root) };
    device_receive_from(device, TOPIC_TRUST, cloud_trust(&device->pki.root, 2, pems, COUNT(pems)));
    free(pems[0]);
    for (int i = 1; i < CERT_TRIAL_LIMIT; i++) {
        device_failed(device, CERT_FAILURE_SERVER_UNTRUSTED);
    }
    refuse(number);
    cert_agent_disconnected(&device->agent, device->fake.connect.connection, CERT_FAILURE_SERVER_UNTRUSTED, NULL,
                            device->now_ms);
    bool was_refused = failing_heap_stop();
    device_wait(device);
    if (device->agent.trust_on_trial) {
        device_failed(device, CERT_FAILURE_SERVER_UNTRUSTED);
    }
    return was_refused;
}

static void test_anchors_are_given_up_for_those_before_them(void **state)
{
    static void (*const refusals[])(unsigned) = { failing_heap_refuse, failing_heap_refuse_from };
    test_device_t *device = *state;
    device_receive_from(device, TOPIC_TRUST, cloud_trust_good(device, 1));
    device_connected(device);
    for (size_t i = 0; i < COUNT(refusals); i++) {
        bool was_refused = true;
        for (unsigned number = 1; was_refused; number++) {
            was_refused = give_up_anchors(device, refusals[i], number);
            assert_int_equal(device->agent.trust.version, 1);
            assert_string_equal(device->fake.connect.anchors_pem, device->agent.trust.anchors_pem);
            device_connected(device);
            fake_port_forget(&device->fake);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONLINE(test_an_order_to_rotate), ONLINE(test_an_answer_to_a_request), ONLINE(test_a_pushed_rotation),
        ONLINE(test_a_commit),           ONLINE(test_a_start),                ONLINE(test_an_enrolment),
        ONLINE(test_a_failure_on_trial), ONLINE(test_a_start_keeps_the_anchors_it_has),
        ONLINE(test_anchors_are_given_up_for_those_before_them),
    };
    return RUN_TESTS(tests);
}
