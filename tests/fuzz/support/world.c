/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "world.h"

#include <mbedtls/x509_crt.h>
#include <string.h>

#include "guarded.h"
#include "pool.h"
#include "require.h"

#define IDENTITY_KEYS "slot_a slot_b commit"

/* ---------------------------------------------------------------- the watched platform */

static cert_status_t watch_read(void *ctx, const char *key, uint8_t *buf, size_t cap, size_t *len)
{
    world_t *world = ctx;
    return world->unwatched.kv_read(&world->fake, key, buf, cap, len);
}

static cert_status_t watch_write(void *ctx, const char *key, const uint8_t *data, size_t len)
{
    world_t *world = ctx;
    const fake_value_t *value = fake_port_value(&world->fake, key);
    REQUIRE(value == NULL || !medium_is_newer(value), "a value of a newer format was overwritten");
    cert_status_t status = world->unwatched.kv_write(&world->fake, key, data, len);
    world->faulty |= status != CERT_OK;
    return status;
}

static cert_status_t watch_erase(void *ctx, const char *key)
{
    world_t *world = ctx;
    cert_status_t status = world->unwatched.kv_erase(&world->fake, key);
    world->faulty |= status != CERT_OK;
    return status;
}

static cert_boot_ram_t *watch_boot_ram(void *ctx)
{
    world_t *world = ctx;
    return world->unwatched.boot_ram(&world->fake);
}

static int64_t watch_clock(void *ctx)
{
    world_t *world = ctx;
    return world->unwatched.wall_clock(&world->fake);
}

static void watch_random(void *ctx, uint8_t *buf, size_t len)
{
    world_t *world = ctx;
    world->unwatched.random(&world->fake, buf, len);
}

static uint64_t fingerprint(const void *bytes, size_t len)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

/* One "not yet valid" is good as well: a device without a clock cannot tell, and the cloud will. */
static bool is_good_certificate(const pool_key_t *owner, const char *chain)
{
    bool found = false;
    mbedtls_x509_crt leaf;
    mbedtls_x509_crt_init(&leaf);
    if (mbedtls_x509_crt_parse(&leaf, (const unsigned char *)chain, strlen(chain) + 1) == 0) {
        for (unsigned variant = 0; variant < POOL_VARIANTS; variant++) {
            const pool_certificate_t *good = &owner->certificates[variant];
            bool is_good = variant < POOL_GOOD_COUNT || variant == POOL_NOT_YET_VALID;
            found |= is_good && leaf.tbs.len == good->signed_len &&
                     memcmp(leaf.tbs.p, good->signed_part, good->signed_len) == 0;
        }
    }
    mbedtls_x509_crt_free(&leaf);
    return found;
}

/*
 * A certificate out of the pool that is to be accepted, with the key that belongs to it. The last ones found are
 * remembered.
 */
static bool is_real_identity(const uint8_t *key, size_t key_len, const char *chain)
{
    static uint64_t known[64];
    uint64_t hash = fingerprint(key, key_len) ^ (fingerprint(chain, strlen(chain)) << 1);
    if (known[hash % 64] == hash) {
        return true;
    }
    for (unsigned number = 0; number < POOL_KEYS; number++) {
        const pool_key_t *owner = &pool()->keys[number];
        if (memmem(key, key_len, owner->in_private, POOL_NEEDLE_PRIVATE) != NULL && is_good_certificate(owner, chain)) {
            known[hash % 64] = hash;
            return true;
        }
    }
    return false;
}

static void watch_connect(void *ctx, const cert_connect_t *request)
{
    world_t *world = ctx;
    world->unwatched.connect(&world->fake, request);
    if (world->fake.power_lost) {
        return;
    }
    world->asked = true;
    world->online = false;
    REQUIRE(strcmp(request->client_id, TEST_DEVICE) == 0, "connects as another device");
    REQUIRE(request->anchors_pem[0] != '\0', "connects without trust anchors");
    if (request->identity == CERT_IDENTITY_BOOTSTRAP) {
        REQUIRE(request->chain_pem == world->config.bootstrap_chain_pem &&
                    request->key == world->config.bootstrap_key && request->key_len == world->config.bootstrap_key_len,
                "the bootstrap identity was lost");
    } else if (world->expects_real_identities) {
        REQUIRE(is_real_identity(request->key, request->key_len, request->chain_pem),
                "key and certificate are no identity");
        uint32_t generation = world->agent.identity.generation;
        uint32_t committed = world->agent.record.generation;
        REQUIRE(request->identity == CERT_IDENTITY_TRIAL ? generation > committed : generation == committed,
                "the generation in use is not the one committed, or no newer one on trial");
    }
}

static void watch_disconnect(void *ctx)
{
    world_t *world = ctx;
    world->online = false;
    world->asked = false;
    world->unwatched.disconnect(&world->fake);
}

static void watch_subscribe(void *ctx, const char *topic)
{
    world_t *world = ctx;
    REQUIRE(world->online || world->fake.power_lost, "subscribes without a connection");
    world->unwatched.subscribe(&world->fake, topic);
}

static bool is_subscribed(world_t *world, const char *topic)
{
    static const char *const enrolling[] = {"accepted", "rejected", NULL};
    static const char *const working[] = {"rotate", "issued", "rejected", "commit", "trust", NULL};
    bool bootstrap = strncmp(topic, "bootstrap/", strlen("bootstrap/")) == 0;
    for (const char *const *leaf = bootstrap ? enrolling : working; *leaf != NULL; leaf++) {
        char wanted[CERT_TOPIC_MAX];
        snprintf(wanted, sizeof(wanted),
                 bootstrap ? "bootstrap/" TEST_DEVICE "/enroll/%s" : "devices/" TEST_DEVICE "/certs/%s", *leaf);
        if (!fake_port_is_subscribed(&world->fake, wanted)) {
            return false;
        }
    }
    return true;
}

static cert_status_t watch_publish(void *ctx, const char *topic, const char *payload, size_t len)
{
    world_t *world = ctx;
    if (!world->fake.power_lost) {
        REQUIRE(world->online, "publishes without a connection");
        REQUIRE(is_subscribed(world, topic), "publishes before it has subscribed");
        REQUIRE(!pool_leaks_in(payload, len), "a private key in a message");
        world->refused_input |=
            strstr(payload, "\"state\":\"rejected\"") != NULL && strstr(payload, "\"code\":\"storage") == NULL;
        /* Only what was said last matters here. */
        if (world->fake.published_count == FAKE_PUBLISHED_MAX) {
            world->fake.published_count = 0;
        }
    }
    return world->unwatched.publish(&world->fake, topic, payload, len);
}

static void watch_restart(void *ctx)
{
    world_t *world = ctx;
    world->unwatched.restart(&world->fake);
}

static void watch_log(void *ctx, cert_log_level_t level, const char *line)
{
    world_t *world = ctx;
    REQUIRE(!pool_leaks_in(line, strlen(line)), "a private key in the log");
    for (const char *c = line; *c != '\0'; c++) {
        REQUIRE((unsigned char)*c >= ' ', "a control character in the log");
    }
    world->refused_input |= strstr(line, ": ignored message=") != NULL;
    world->unwatched.log(&world->fake, level, line);
}

/* ---------------------------------------------------------------- what always has to hold */

static void check_slot(const medium_view_t *view, unsigned number, bool tidy)
{
    const medium_slot_t *slot = &view->slots[number];
    bool in_use = view->current == number || view->trial == number;
    if (slot->is_present) {
        REQUIRE(slot->is_intact, "a slot of our own making is not intact");
    }
    if (slot->chain_len > 0) {
        REQUIRE(in_use || !tidy, "a freed slot still holds an identity");
        char chain[CERT_CHAIN_PEM_MAX + 1];
        REQUIRE(slot->chain_len < sizeof(chain), "a stored chain is too long");
        memcpy(chain, slot->chain, slot->chain_len);
        chain[slot->chain_len] = '\0';
        REQUIRE(is_real_identity(slot->key, slot->key_len, chain), "a stored identity was never to be accepted");
    }
}

/* The operational identity is there, and is the one it was or a newer one. */
static void check_current(const world_t *world, const medium_view_t *now, uint64_t current_chain)
{
    REQUIRE(now->generation >= world->before.generation, "the committed generation decreased");
    if (world->current_chain == 0) {
        return;
    }
    const medium_slot_t *slot = &now->slots[now->current];
    REQUIRE(now->current != 0 && slot->chain_len > 0, "the operational identity was lost");
    REQUIRE(slot->generation == now->generation, "the record commits to another generation than the current slot's");
    REQUIRE(current_chain == world->current_chain || now->generation > world->before.generation,
            "the operational identity was replaced by one that is not newer");
}

static void inspect_store(world_t *world)
{
    medium_view_t now;
    medium_view(&world->fake, &now);
    const medium_slot_t *current = &now.slots[now.current];
    uint64_t chain = current->chain_len > 0 ? fingerprint(current->chain, current->chain_len) : 0;
    if (world->expects_real_identities) {
        /* A start that could not read the store could not tidy it either. */
        bool tidy = !world->faulty && world->agent.phase != CERT_PHASE_STOPPED;
        check_slot(&now, 1, tidy);
        check_slot(&now, 2, tidy);
        check_current(world, &now, chain);
    }
    world->before = now;
    world->current_chain = chain;
}

static void inspect_ram(const world_t *world)
{
    static const cert_identity_t empty;
    const cert_agent_t *agent = &world->agent;
    REQUIRE(memcmp(&agent->candidate, &empty, sizeof(empty)) == 0, "a candidate is left in RAM");
    REQUIRE(!pool_leaks_in(agent->blob, sizeof(agent->blob)), "a private key is left in the scratch buffer");
    REQUIRE(!pool_leaks_in(agent->out, sizeof(agent->out)), "a private key is left in the message buffer");
    if (agent->phase == CERT_PHASE_STOPPED) {
        return;
    }
    bool is_operational = agent->using == CERT_IDENTITY_OPERATIONAL && agent->phase >= CERT_PHASE_CONNECTING;
    bool is_trial = agent->using == CERT_IDENTITY_TRIAL && agent->phase >= CERT_PHASE_CONNECTING;
    REQUIRE(!is_operational || agent->record.current != CERT_SLOT_NONE, "operational without a current slot");
    REQUIRE(!is_trial || agent->record.trial != CERT_SLOT_NONE, "on trial without a trial slot");
    REQUIRE(agent->record.current == CERT_SLOT_NONE || agent->record.current != agent->record.trial,
            "one slot in two roles");
}

/* The end of a step: the consequences, then the checks. Starts of the device are steps of their own. */
static void settle(world_t *world)
{
    if (world->fake.power_lost) {
        world_power_cycle(world, 0x5A5A5A5A);
    } else if (world->fake.restarts > 0) {
        world_boot(world);
    } else {
        inspect_store(world);
        inspect_ram(world);
    }
}

static void begin_step(world_t *world)
{
    world->refused_input = false;
    world->fake.log_count = 0;
}

/* ---------------------------------------------------------------- steps */

void world_init(world_t *world)
{
    memset(world, 0, sizeof(*world));
    fake_port_init(&world->fake);
    world->unwatched = fake_port_make(&world->fake);
    world->next_power_left = -1;
    world->expects_real_identities = true;
    world->port = (cert_port_t){
        .ctx = world,
        .kv_read = watch_read,
        .kv_write = watch_write,
        .kv_erase = watch_erase,
        .boot_ram = watch_boot_ram,
        .wall_clock = watch_clock,
        .random = watch_random,
        .connect = watch_connect,
        .disconnect = watch_disconnect,
        .subscribe = watch_subscribe,
        .publish = watch_publish,
        .restart = watch_restart,
        .log = watch_log,
    };
    const test_pki_t *pki = &pool()->pki;
    world->config = (cert_agent_config_t){
        .device_id = TEST_DEVICE,
        .bootstrap_chain_pem = pki->bootstrap_pem,
        .bootstrap_key = (const uint8_t *)pki->bootstrap_key_pem,
        .bootstrap_key_len = strlen(pki->bootstrap_key_pem) + 1,
        .anchors_pem = pki->anchors_pem,
        .key_type = CERT_KEY_EC_P256,
        .build_time = TEST_NOW - 30 * TEST_DAY,
        .backoff_min_ms = 1000,
        .backoff_max_ms = 60000,
        .hardware = "fuzz",
        .firmware = "1.2.3",
    };
}

void world_boot(world_t *world)
{
    do {
        world->fake.power_lost = false;
        world->fake.power_left = world->next_power_left;
        world->next_power_left = -1;
        world->asked = false;
        world->online = false;
        world->faulty = false;
        fake_port_forget(&world->fake);
        world->fake.connect.connection = 0;
        REQUIRE(cert_agent_init(&world->agent, &world->config, &world->port) == CERT_OK, "the agent does not start");
        cert_status_t status = cert_agent_boot(&world->agent, world->now_ms);
        bool may_fail = world->faulty || world->fake.read_status != CERT_OK || !world->expects_real_identities;
        REQUIRE(status == CERT_OK || may_fail, "the device does not start");
        REQUIRE(status == CERT_OK || world->agent.phase == CERT_PHASE_STOPPED, "a start that failed goes on");
    } while (world->fake.power_lost);
    inspect_store(world);
    inspect_ram(world);
}

void world_power_cycle(world_t *world, uint32_t garbage)
{
    memset(&world->fake.boot_ram, (int)(garbage & 0xFF), sizeof(world->fake.boot_ram));
    world->fake.boot_ram.boots = garbage;
    world_boot(world);
}

void world_connected(world_t *world, uint32_t connection)
{
    begin_step(world);
    if (world->asked && connection == world->fake.connect.connection) {
        world->asked = false;
        world->online = true;
        world->fake.subscribed_count = 0;
    }
    cert_agent_connected(&world->agent, connection, world->now_ms);
    settle(world);
}

void world_failed(world_t *world, uint32_t connection, cert_failure_t why)
{
    begin_step(world);
    bool is_ours = (world->asked || world->online) && connection == world->fake.connect.connection;
    uint64_t identities = medium_fingerprint(&world->fake, IDENTITY_KEYS);
    if (is_ours) {
        world->asked = false;
        world->online = false;
    }
    cert_agent_disconnected(&world->agent, connection, why, "detail", world->now_ms);
    if (is_ours) {
        REQUIRE(world->agent.phase == CERT_PHASE_WAITING && world->agent.wake_at_ms > world->now_ms, "retries at once");
    }
    if (why != CERT_FAILURE_IDENTITY_REFUSED) {
        REQUIRE(medium_fingerprint(&world->fake, IDENTITY_KEYS) == identities,
                "held against an identity without a refusal");
    }
    settle(world);
}

void world_message(world_t *world, uint32_t connection, const char *topic, const void *payload, size_t len)
{
    begin_step(world);
    uint64_t stored = medium_fingerprint(&world->fake, MEDIUM_KEYS);
    uint8_t *copy = guarded_copy(payload, len);
    cert_agent_message(&world->agent, connection, topic, copy, len, world->now_ms);
    for (size_t i = 0; i < len; i++) {
        REQUIRE(copy[i] == 0, "a payload was not wiped");
    }
    if (world->refused_input) {
        REQUIRE(medium_fingerprint(&world->fake, MEDIUM_KEYS) == stored, "input that was refused changed the store");
    }
    settle(world);
}

uint32_t world_tick(world_t *world, uint64_t advance_ms)
{
    begin_step(world);
    cert_agent_delivered(&world->agent, world->fake.connect.connection);
    world->now_ms += advance_ms;
    uint32_t wait_ms = 0;
    unsigned ticks = 0;
    for (; wait_ms == 0 && ticks < 8 && !world->fake.power_lost && world->fake.restarts == 0; ticks++) {
        wait_ms = cert_agent_tick(&world->agent, world->now_ms);
    }
    REQUIRE(ticks < 8, "wants to be called again at once for ever");
    settle(world);
    return wait_ms;
}

void world_factory_reset(world_t *world)
{
    begin_step(world);
    cert_status_t status = cert_agent_factory_reset(&world->agent);
    REQUIRE(status == CERT_OK || world->faulty, "no factory reset");
    world_accept_store(world);
    settle(world);
}

void world_accept_store(world_t *world)
{
    medium_view(&world->fake, &world->before);
    world->before.generation = 0;
    world->current_chain = 0;
}
