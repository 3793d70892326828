/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * The whole agent, driven by any sequence of events. The input is a list of steps, a byte each, with what the step
 * needs after it. What has to hold after each step is in support/world.c; what has to hold at the end is here: once the
 * world behaves again, the device gets through with an identity of its own.
 */
#include "cloud.h"
#include "input.h"
#include "require.h"

#define STEPS_MAX 96
#define HISTORY 4
#define RECOVERY_STEPS 64

typedef struct {
    world_t world;
    input_t *input;
    cloud_message_t message;          /* the one being sent */
    cloud_message_t history[HISTORY]; /* the last ones, to be sent again */
    unsigned sent;
} run_t;

/* The number of the connection an event is about: nearly always the one at hand. */
static uint32_t take_connection(run_t *run, uint8_t choice)
{
    uint32_t connection = run->world.fake.connect.connection;
    return (choice & 0x80) != 0 ? connection - 1 : connection;
}

static void send(run_t *run)
{
    const cloud_message_t *message = &run->message;
    run->history[run->sent++ % HISTORY] = *message;
    world_message(&run->world, run->world.fake.connect.connection, message->topic, message->payload,
                  strlen(message->payload));
}

/* Some ids come again and again. */
static const char *take_rotation_id(run_t *run)
{
    static const char *const ids[] = {"r-1", "r-2", "renew-1", "0123456789abcdef"};
    return ids[take_choice(run->input, 4)];
}

static pool_variant_t take_variant(run_t *run)
{
    return (pool_variant_t)take_choice(run->input, POOL_VARIANTS);
}

static void step_help(run_t *run)
{
    cloud_help(&run->world, (pool_variant_t)take_choice(run->input, POOL_GOOD_COUNT));
}

static void step_boot(run_t *run)
{
    world_boot(&run->world);
}

static void step_power_cycle(run_t *run)
{
    world_power_cycle(&run->world, take_u16(run->input));
}

static void step_connected(run_t *run)
{
    world_connected(&run->world, take_connection(run, take_u8(run->input)));
}

static void step_failed(run_t *run)
{
    uint8_t choice = take_u8(run->input);
    world_failed(&run->world, take_connection(run, choice), (cert_failure_t)(choice % (CERT_FAILURE_UNKNOWN + 1)));
}

/* Fails for one reason until the device does something else. */
static void step_keep_failing(run_t *run)
{
    uint8_t choice = take_u8(run->input);
    for (int i = 0; i <= choice >> 4; i++) {
        uint32_t wait_ms = world_tick(&run->world, 0);
        if (!run->world.asked) {
            world_tick(&run->world, wait_ms);
        }
        world_failed(&run->world, run->world.fake.connect.connection, (cert_failure_t)(choice & CERT_FAILURE_UNKNOWN));
    }
}

static void step_time(run_t *run)
{
    static const uint64_t jumps[] = {
        0, 1, 999, 1000, 15000, 30000, 60000, 120000, 600000, 3600000, UINT64_C(864000000)
    };
    uint8_t choice = take_u8(run->input);
    if (choice % 16 < sizeof(jumps) / sizeof(jumps[0])) {
        world_tick(&run->world, jumps[choice % 16]);
    } else {
        world_tick(&run->world, world_tick(&run->world, 0));
    }
}

static void step_answer(run_t *run)
{
    bool enrolling = take_choice(run->input, 2) == 0;
    if (cloud_answer(&run->world, enrolling, take_variant(run), &run->message)) {
        send(run);
    }
}

static void step_reject(run_t *run)
{
    static const char *const codes[] = {"not_allowed", "busy", "revoked", "bad_csr", "some_new_code"};
    bool enrolling = take_choice(run->input, 2) == 0;
    const char *code = codes[take_choice(run->input, 5)];
    if (cloud_reject(&run->world, enrolling, code, take_u32(run->input), &run->message)) {
        send(run);
    }
}

static void step_rotate(run_t *run)
{
    static const char *const keys[] = {"ec-p256", "ec-p256", "ec-p256", "same", "same", "rsa-2048", "rsa-8192"};
    const char *id = take_rotation_id(run);
    cloud_rotate(id, keys[take_choice(run->input, 7)], &run->message);
    send(run);
}

static void step_push(run_t *run)
{
    uint8_t choice = take_u8(run->input);
    const pool_key_t *owner = &pool()->keys[(choice & 0x0F) % POOL_KEYS];
    const pool_key_t *key = (choice & 0x80) != 0 ? &pool()->keys[0] : owner;
    const char *id = (choice & 0x40) != 0 ? take_rotation_id(run) : NULL;
    cloud_push(id, &owner->certificates[take_variant(run)], key, &run->message);
    send(run);
}

static void step_commit(run_t *run)
{
    cloud_commit(&run->world, take_choice(run->input, 4) == 3, &run->message);
    send(run);
}

static void step_trust(run_t *run)
{
    cloud_trust((cloud_trust_t)take_choice(run->input, CLOUD_TRUST_VARIANTS), &run->message);
    send(run);
}

/* A message seen before: late, twice, out of order. */
static void step_repeat(run_t *run)
{
    run->message = run->history[take_choice(run->input, HISTORY)];
    send(run);
}

/* The last message, damaged on its way. */
static void step_damage(run_t *run)
{
    char *payload = run->message.payload;
    size_t len = strlen(payload);
    for (unsigned changes = take_choice(run->input, 4) + 1; changes > 0 && len > 0; changes--) {
        size_t at = take_u16(run->input) % len;
        payload[at] = (char)take_u8(run->input);
    }
    send(run);
}

static void step_raw_message(run_t *run)
{
    static const char *const topics[] = {
        "devices/" TEST_DEVICE "/certs/rotate",
        "devices/" TEST_DEVICE "/certs/issued",
        "devices/" TEST_DEVICE "/certs/rejected",
        "devices/" TEST_DEVICE "/certs/commit",
        "devices/" TEST_DEVICE "/certs/trust",
        "bootstrap/" TEST_DEVICE "/enroll/accepted",
        "bootstrap/" TEST_DEVICE "/enroll/rejected",
        "devices/" TEST_DEVICE "/certs/",
        "",
        "devices/pump-0043/certs/rotate",
    };
    uint8_t choice = take_u8(run->input);
    input_t payload = take_slice(run->input);
    world_message(&run->world, take_connection(run, choice), topics[(choice & 0x7F) % 10], payload.data,
                  payload.len < CERT_MESSAGE_MAX + 1 ? payload.len : CERT_MESSAGE_MAX + 1);
}

static void step_storage(run_t *run)
{
    static const cert_status_t outcomes[] = {CERT_OK, CERT_ERR_STORAGE, CERT_ERR_STORAGE_FULL, CERT_OK};
    uint8_t choice = take_u8(run->input);
    run->world.fake.write_status = outcomes[choice & 3];
    run->world.fake.read_status = (choice & 0x0C) == 0x0C ? CERT_ERR_STORAGE : CERT_OK;
}

/* Power will be lost at one of the next changes of the store, and perhaps again while the device recovers. */
static void step_power_cut(run_t *run)
{
    uint8_t choice = take_u8(run->input);
    run->world.fake.power_left = choice & 7;
    run->world.next_power_left = (choice & 0x80) != 0 ? (choice >> 4) & 7 : -1;
}

static void step_clock(run_t *run)
{
    uint32_t days = take_u16(run->input);
    run->world.fake.clock = days == 0 ? 0 : TEST_NOW + ((int64_t)days - 0x8000) * TEST_DAY / 4;
}

static void step_publish_fails(run_t *run)
{
    run->world.fake.publish_status = take_choice(run->input, 2) == 0 ? CERT_OK : CERT_ERR_INTERNAL;
}

static void step_factory_reset(run_t *run)
{
    if (run->world.agent.phase != CERT_PHASE_STOPPED) {
        world_factory_reset(&run->world);
    }
}

static void step_reboot_on_rotation(run_t *run)
{
    run->world.config.reboot_on_rotation = !run->world.config.reboot_on_rotation;
}

/* Whatever has happened: with power, storage and a cloud the device gets through. Nobody needs to touch it. */
static void check_recovery(world_t *world)
{
    world->fake.read_status = CERT_OK;
    world->fake.write_status = CERT_OK;
    world->fake.publish_status = CERT_OK;
    world->fake.clock = TEST_NOW + TEST_DAY;
    world->next_power_left = -1;
    world_power_cycle(world, 0);
    for (unsigned step = 0; step < RECOVERY_STEPS; step++) {
        if (world->online && world->agent.using == CERT_IDENTITY_OPERATIONAL) {
            return;
        }
        cloud_help(world, POOL_GOOD_LONG);
    }
    REQUIRE(false, "the device does not get through any more");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static void (*const steps[])(run_t * run) = {
        step_help, step_boot, step_power_cycle, step_connected, step_failed, step_keep_failing, step_time, step_answer,
        step_reject, step_rotate, step_push, step_commit, step_trust, step_repeat, step_damage, step_raw_message,
        step_storage, step_power_cut, step_clock, step_publish_fails, step_factory_reset, step_reboot_on_rotation,
    };
    static run_t run;
    input_t input = {data, len};
    if (pool_leaks_in(data, len)) {
        return -1;
    }
    memset(&run.message, 0, sizeof(run.message));
    memset(run.history, 0, sizeof(run.history));
    run.input = &input;
    run.sent = 0;
    pool_next_key = 0;
    world_init(&run.world);
    world_boot(&run.world);
    for (unsigned i = 0; i < STEPS_MAX && input.len > 0; i++) {
        steps[take_choice(&input, sizeof(steps) / sizeof(steps[0]))](&run);
    }
    check_recovery(&run.world);
    return 0;
}
