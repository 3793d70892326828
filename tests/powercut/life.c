/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "life.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "shortcuts.h"
#include "test_pki.h"
#include "testing.h"

/* More than any story takes: whoever gets there goes round in circles. */
#define EVENTS_MAX 20000

#define REORDER_WINDOW 3

/* ---------------------------------------------------------------- the world */

void world_make(world_t *world)
{
    memset(world, 0, sizeof(*world));
    world->cloud.now = TEST_NOW;
    world->random_state = 1;
    world->server_root = ROOT_FIRST;
}

void world_lose_power(world_t *world, bool keeps_ram, bool sent)
{
    if (!keeps_ram) {
        memset(&world->boot_ram, 0x5A, sizeof(world->boot_ram));
        world->clock_is_lost = true;
    }
    if (!sent) {
        world->up_count = 0;
    }
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

unsigned life_dice(life_t *life, unsigned limit)
{
    return next_random(&life->chaos) % limit;
}

static bool happens(life_t *life, unsigned percent)
{
    return percent > 0 && life_dice(life, 100) < percent;
}

void life_fail(life_t *life, const char *format, ...)
{
    if (life->is_powered && life->why[0] == '\0') {
        va_list args;
        va_start(args, format);
        vsnprintf(life->why, sizeof(life->why), format, args);
        va_end(args);
    }
}

void life_cut(life_t *life)
{
    life->is_powered = false;
}

uint64_t life_idle_ms(const life_t *life)
{
    return life->now_ms - life->event_ms;
}

bool life_is_settled(const life_t *life)
{
    return life->agent.phase == CERT_PHASE_ONLINE && life->agent.using == CERT_IDENTITY_OPERATIONAL &&
           life->session >= 0 && life->session == cloud_active(&life->world->cloud);
}

static void say(const life_t *life, const char *who, const char *leaf, const char *text)
{
    if (life->is_verbose && life->is_powered) {
        printf("  %9.3f s  %-8s %s%s%.180s\n", (double)life->now_ms / 1000, who, leaf, leaf[0] != '\0' ? " " : "",
               text);
    }
}

/* ---------------------------------------------------------------- the port: the store */

static cert_status_t kv_read(void *ctx, const char *key, uint8_t *buf, size_t cap, size_t *len)
{
    const life_t *life = ctx;
    medium_key_t index = medium_find_key(key);
    *len = 0;
    if (!life->is_powered) {
        return CERT_ERR_STORAGE;
    }
    if (index == MEDIUM_KEYS || !life->world->medium.values[index].present) {
        return CERT_ERR_NOT_FOUND;
    }
    const medium_value_t *value = &life->world->medium.values[index];
    if (value->len > cap) {
        return CERT_ERR_TOO_LARGE;
    }
    memcpy(buf, value->data, value->len);
    *len = value->len;
    return CERT_OK;
}

/** The generation a commit record names (docs/identity-store.md, "Commit record"); 0 if there is no whole record. */
static uint32_t generation_of(const medium_value_t *record)
{
    bool is_whole = record->present && record->len >= 20 &&
                    bytes_get_u32(record->data + record->len - 4) == bytes_crc32(record->data, record->len - 4);
    return is_whole ? bytes_get_u32(record->data + 8) : 0;
}

/** Remember whose rotation is on trial: the record names a slot for it. */
static void note_trial(world_t *world)
{
    const medium_value_t *record = &world->medium.values[MEDIUM_COMMIT];
    if (generation_of(record) > 0 && record->data[7] != CERT_SLOT_NONE && world->cloud.rotation_count > 0) {
        world->tried |= UINT64_C(1) << (world->cloud.rotation_count - 1);
    }
}

static void check_change(life_t *life, const medium_change_t *change)
{
    const medium_value_t *record = &life->world->medium.values[MEDIUM_COMMIT];
    bool goes_back = change->key == MEDIUM_COMMIT && generation_of(&change->value) < generation_of(record);
    if (goes_back && !life->world->is_being_reset) {
        life_fail(life, "the commit record goes back from generation %u to %u", (unsigned)generation_of(record),
                  (unsigned)generation_of(&change->value));
    }
}

static cert_status_t carry_out(life_t *life, const char *key, const medium_change_t *change)
{
    if (!life->is_powered) {
        return CERT_ERR_STORAGE;
    }
    if (change->key == MEDIUM_KEYS) {
        life_fail(life, "the device touches the value \"%s\"", key);
        return CERT_ERR_STORAGE;
    }
    check_change(life, change);
    life->changes++;
    if (life->on_change != NULL) {
        life->on_change(life->on_change_ctx, life, change);
    }
    if (!life->is_powered) {
        return CERT_ERR_STORAGE;
    }
    say(life, "store", change->value.present ? "write" : "erase", key);
    medium_apply(&life->world->medium, change, LEFT_COMPLETE, 0);
    note_trial(life->world);
    return CERT_OK;
}

static cert_status_t kv_write(void *ctx, const char *key, const uint8_t *data, size_t len)
{
    assert_true(len <= MEDIUM_VALUE_MAX);
    medium_change_t change = {.key = medium_find_key(key), .value = {.present = true, .len = len}};
    memcpy(change.value.data, data, len);
    return carry_out(ctx, key, &change);
}

static cert_status_t kv_erase(void *ctx, const char *key)
{
    const medium_change_t change = {.key = medium_find_key(key)};
    return carry_out(ctx, key, &change);
}

/* ---------------------------------------------------------------- the port: the rest */

static cert_boot_ram_t *boot_ram(void *ctx)
{
    life_t *life = ctx;
    return life->is_powered ? &life->world->boot_ram : &life->scratch_ram;
}

static int64_t wall_clock(void *ctx)
{
    const life_t *life = ctx;
    return life->world->clock_is_lost ? 0 : life->world->cloud.now;
}

static void fill_random(void *ctx, uint8_t *buf, size_t len)
{
    life_t *life = ctx;
    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)next_random(&life->world->random_state);
    }
}

static void end_session(life_t *life)
{
    life->session = CLOUD_NONE;
    life->down_count = 0;
}

static void check_bootstrap(life_t *life, const cert_connect_t *request)
{
    bool is_intact = strcmp(request->chain_pem, authority_bootstrap_pem()) == 0 &&
                     strcmp((const char *)request->key, authority_bootstrap_key_pem()) == 0;
    if (!is_intact) {
        life_fail(life, "the bootstrap identity is not the one from the factory");
    }
    if (!cloud_lets_in(&life->world->cloud, CLOUD_BOOTSTRAP)) {
        life_fail(life, "the device has to enrol again, although its certificate is live");
    }
}

static void check_identity(life_t *life, const cert_connect_t *request)
{
    if (life->session == CLOUD_NONE) {
        life_fail(life, "the device comes with a certificate the cloud has never made");
        return;
    }
    size_t len;
    const uint8_t *key = authority_key_der(life->world->cloud.certificates[life->session].key, &len);
    if (request->key_len != len || memcmp(request->key, key, len) != 0) {
        life_fail(life, "the key does not belong to the certificate");
    }
}

static void connect_device(void *ctx, const cert_connect_t *request)
{
    life_t *life = ctx;
    if (!life->is_powered) {
        return;
    }
    end_session(life);
    life->has_lost = false;
    life->wants_connection = true;
    life->connection = request->connection;
    life->trusts_server = strstr(request->anchors_pem, authority_root_pem(life->world->server_root)) != NULL;
    if (request->identity == CERT_IDENTITY_BOOTSTRAP) {
        life->session = CLOUD_BOOTSTRAP;
        check_bootstrap(life, request);
    } else {
        life->session = cloud_find_chain(&life->world->cloud, request->chain_pem);
        check_identity(life, request);
    }
}

static void disconnect_device(void *ctx)
{
    life_t *life = ctx;
    life->wants_connection = false;
    end_session(life);
}

static void subscribe(void *ctx, const char *topic)
{
    (void)ctx;
    (void)topic; /* the cloud sends to nobody but this device, and only while it is connected */
}

static const char *leaf_of(const char *topic)
{
    const char *slash = strrchr(topic, '/');
    return slash != NULL ? slash + 1 : topic;
}

static cert_status_t publish(void *ctx, const char *topic, const char *payload, size_t len)
{
    life_t *life = ctx;
    world_t *world = life->world;
    if (!life->is_powered || life->session == CLOUD_NONE) {
        return CERT_ERR_INTERNAL;
    }
    assert_true(len < WIRE_UP_MAX);
    int copies = happens(life, life->faults.lost) ? 0 : happens(life, life->faults.repeated) ? 2 : 1;
    life->has_lost = life->has_lost || copies == 0 || world->up_count == WIRE_MAX;
    for (; copies > 0 && world->up_count < WIRE_MAX; copies--) {
        wire_up_t *message = &world->up[world->up_count++];
        snprintf(message->leaf, sizeof(message->leaf), "%s", leaf_of(topic));
        message->sender = life->session;
        memcpy(message->payload, payload, len);
        message->payload[len] = '\0';
    }
    say(life, "publish", leaf_of(topic), payload);
    return CERT_OK;
}

static void restart(void *ctx)
{
    life_t *life = ctx;
    life->wants_restart = true;
}

static void report(void *ctx, cert_log_level_t level, const char *line)
{
    (void)level;
    say(ctx, "device", "", line);
}

/* ---------------------------------------------------------------- the wire */

static void send_down(void *ctx, const char *leaf, cJSON *body)
{
    life_t *life = ctx;
    bool arrives =
        life->session != CLOUD_NONE && life->agent.phase == CERT_PHASE_ONLINE && !happens(life, life->faults.lost);
    int copies = !arrives ? 0 : happens(life, life->faults.repeated) ? 2 : 1;
    for (; copies > 0 && life->down_count < WIRE_MAX; copies--) {
        wire_down_t *message = &life->down[life->down_count++];
        snprintf(message->leaf, sizeof(message->leaf), "%s", leaf);
        assert_true(cJSON_PrintPreallocated(body, message->payload, WIRE_DOWN_MAX, false));
    }
    say(life, "cloud", leaf, arrives ? "" : "(lost)");
    cJSON_Delete(body);
}

cloud_outlet_t life_outlet(life_t *life)
{
    return (cloud_outlet_t){.ctx = life, .send = send_down};
}

static int choose_message(life_t *life, int count)
{
    return count > 1 && happens(life, life->faults.reordered)
               ? (int)life_dice(life, (unsigned)(count < REORDER_WINDOW ? count : REORDER_WINDOW)) : 0;
}

static void deliver_up(life_t *life)
{
    static wire_up_t message;
    world_t *world = life->world;
    int index = choose_message(life, world->up_count);
    message = world->up[index];
    world->up_count--;
    memmove(&world->up[index], &world->up[index + 1], (size_t)(world->up_count - index) * sizeof(message));
    cJSON *tree = cJSON_Parse(message.payload);
    assert_non_null(tree);
    cloud_outlet_t outlet = life_outlet(life);
    if (world->is_being_reset && message.sender == CLOUD_BOOTSTRAP) {
        world->cloud.generation_committed = 0; /* the device counts from the beginning */
    }
    cloud_receive(&world->cloud, &outlet, message.leaf, tree, message.sender);
    cJSON_Delete(tree);
    if (world->cloud.fault[0] != '\0') {
        life_fail(life, "%s", world->cloud.fault);
    }
    if (world->up_count == 0 && !life->has_lost) {
        cert_agent_delivered(&life->agent, life->connection);
    }
}

static void deliver_down(life_t *life)
{
    static wire_down_t message;
    char topic[CERT_TOPIC_MAX];
    int index = choose_message(life, life->down_count);
    message = life->down[index];
    life->down_count--;
    memmove(&life->down[index], &life->down[index + 1], (size_t)(life->down_count - index) * sizeof(message));
    bool enrolling = life->session == CLOUD_BOOTSTRAP;
    snprintf(topic, sizeof(topic), "%s/" TEST_DEVICE "/%s/%s", enrolling ? "bootstrap" : "devices",
             enrolling ? "enroll" : "certs", message.leaf);
    cert_agent_message(&life->agent, life->connection, topic, (uint8_t *)message.payload, strlen(message.payload),
                       life->now_ms);
}

static void fail_connection(life_t *life, cert_failure_t why)
{
    end_session(life);
    cert_agent_disconnected(&life->agent, life->connection, why, "", life->now_ms);
}

void life_kick(life_t *life)
{
    if (life->session != CLOUD_NONE) {
        fail_connection(life, CERT_FAILURE_NETWORK);
    }
}

static void answer_connect(life_t *life)
{
    life->wants_connection = false;
    if (happens(life, life->faults.broken)) {
        fail_connection(life, life_dice(life, 2) == 0 ? CERT_FAILURE_NETWORK : CERT_FAILURE_UNKNOWN);
    } else if (!life->trusts_server) {
        life->world->was_untrusted = true;
        fail_connection(life, CERT_FAILURE_SERVER_UNTRUSTED);
    } else if (!cloud_lets_in(&life->world->cloud, life->session)) {
        fail_connection(life, CERT_FAILURE_IDENTITY_REFUSED);
    } else {
        cert_agent_connected(&life->agent, life->connection, life->now_ms);
        life->world->clock_is_lost = false;
    }
}

/* The broker ends sessions whose certificate is not live any more. */
static bool end_dead_session(life_t *life)
{
    bool is_dead = life->agent.phase == CERT_PHASE_ONLINE && life->session >= 0 &&
                   life->world->cloud.certificates[life->session].state > CERTIFICATE_ACTIVE;
    if (is_dead || (life->down_count > 0 && happens(life, life->faults.broken))) {
        life_kick(life);
        return true;
    }
    return false;
}

/* ---------------------------------------------------------------- the life */

void life_prepare(life_t *life, world_t *world, const story_t *story)
{
    memset(life, 0, sizeof(*life));
    life->world = world;
    life->story = story;
    life->session = CLOUD_NONE;
    life->is_powered = true;
    life->port = (cert_port_t){
        .ctx = life,
        .kv_read = kv_read,
        .kv_write = kv_write,
        .kv_erase = kv_erase,
        .boot_ram = boot_ram,
        .wall_clock = wall_clock,
        .random = fill_random,
        .connect = connect_device,
        .disconnect = disconnect_device,
        .subscribe = subscribe,
        .publish = publish,
        .restart = restart,
        .log = report,
    };
    life->config = (cert_agent_config_t){
        .device_id = TEST_DEVICE,
        .bootstrap_chain_pem = authority_bootstrap_pem(),
        .bootstrap_key = (const uint8_t *)authority_bootstrap_key_pem(),
        .bootstrap_key_len = strlen(authority_bootstrap_key_pem()) + 1,
        .anchors_pem = authority_root_pem(ROOT_FIRST),
        .key_type = CERT_KEY_EC_P256,
        .build_time = TEST_NOW - 30 * TEST_DAY,
        .backoff_min_ms = 1000,
        .backoff_max_ms = 60000,
        .reboot_on_rotation = story->restarts_device,
        .hardware = "simulator",
        .firmware = "1.2.3",
    };
    shortcuts_count_keys(&world->cloud.keys_made);
}

static void boot(life_t *life)
{
    life->wants_restart = false;
    life->wants_connection = false;
    end_session(life);
    life->now_ms = 0;
    life->event_ms = 0;
    note_trial(life->world);
    assert_int_equal(cert_agent_init(&life->agent, &life->config, &life->port), CERT_OK);
    cert_status_t status = cert_agent_boot(&life->agent, 0);
    if (status != CERT_OK && life->is_powered) {
        life_fail(life, "the device does not boot: %s",
                  status == CERT_ERR_NEWER_FORMAT ? "newer format" : cert_status_code(status));
    }
}

/** Let one thing happen. @return whether anything but the passing of time did */
static bool happen(life_t *life)
{
    if (life->wants_restart) {
        boot(life);
    } else if (life->world->up_count > 0) {
        deliver_up(life);
    } else if (life->wants_connection) {
        answer_connect(life);
    } else if (end_dead_session(life)) {
        return true;
    } else if (life->down_count > 0) {
        deliver_down(life);
    } else {
        return life->story->act != NULL && life->story->act(life);
    }
    return true;
}

static bool is_idle(const life_t *life)
{
    return life->world->up_count == 0 && life->down_count == 0 && !life->wants_connection && !life->wants_restart;
}

life_end_t life_live(life_t *life)
{
    boot(life);
    for (int events = 0; events < EVENTS_MAX && life->is_powered && life->why[0] == '\0'; events++) {
        if (is_idle(life) && life->story->is_done(life)) {
            return LIFE_DONE;
        }
        if (happen(life)) {
            life->event_ms = life->now_ms;
            cert_agent_tick(&life->agent, life->now_ms);
        } else {
            life->now_ms += cert_agent_tick(&life->agent, life->now_ms);
        }
    }
    if (life->why[0] == '\0' && life->is_powered) {
        life_fail(life, "the story does not come to its end");
    }
    return life->why[0] != '\0' ? LIFE_WRONG : LIFE_CUT;
}
