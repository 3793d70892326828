/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * A device that finds any content whatsoever in its store. It may not crash, overwrite what a newer firmware has
 * written, or give up an identity that works; and what has been repaired needs no repair for ever.
 *
 * The input: the clock, the boot-surviving RAM, then a list of values, then steps. A value is raw bytes, or any content
 * in a right frame, or a value as the core writes it, with every field chosen.
 */
#include "bytes.h"
#include "input.h"
#include "pool.h"
#include "require.h"
#include "world.h"

#define VALUES_MAX 12
#define STEPS_MAX 24
#define SLOT_FIELDS_LEN 14
#define CONTENT_MAX 8000

static const char *const s_keys[] = {"slot_a", "slot_b", "commit", "trust", "trust_trial", "time", "settings"};
#define KEYS (sizeof(s_keys) / sizeof(s_keys[0]))

/* An identity out of the pool, or half of one, with any origin and generation. */
static void put_identity(world_t *world, const char *key, input_t *input)
{
    static uint8_t content[CONTENT_MAX];
    uint8_t shape = take_u8(input);
    const pool_key_t *owner = &pool()->keys[(shape & 7) % POOL_KEYS];
    const pool_key_t *other = &pool()->keys[(shape >> 6) % POOL_KEYS];
    const char *chain = (shape & 0x08) != 0 ? "" : owner->certificates[take_choice(input, POOL_VARIANTS)].pem;
    const pool_key_t *held = (shape & 0x10) != 0 ? other : owner;
    char *id = take_text(input);
    size_t id_len = strlen(id) < CERT_REQUEST_ID_MAX ? strlen(id) : CERT_REQUEST_ID_MAX;
    content[0] = take_u8(input);
    content[1] = (shape & 0x20) != 0 ? take_u8(input) : 0;
    bytes_put_u32(content + 2, take_u32(input));
    bytes_put_u16(content + 6, (uint16_t)id_len);
    bytes_put_u16(content + 8, (uint16_t)held->der_len);
    bytes_put_u16(content + 10, (uint16_t)strlen(chain));
    bytes_put_u16(content + 12, 0);
    size_t len = SLOT_FIELDS_LEN;
    memcpy(content + len, id, id_len);
    len += id_len;
    memcpy(content + len, held->der, held->der_len);
    len += held->der_len;
    memcpy(content + len, chain, strlen(chain));
    len += strlen(chain);
    free(id);
    medium_put_framed(&world->fake, key, 1, content, len);
}

/* The root as anchors, of any version. */
static void put_anchors(world_t *world, const char *key, input_t *input)
{
    static uint8_t content[CONTENT_MAX];
    const char *anchors = pool()->pki.anchors_pem;
    memset(content, 0, 2);
    bytes_put_u32(content + 2, take_u32(input));
    memcpy(content + 6, anchors, strlen(anchors));
    medium_put_framed(&world->fake, key, 1, content, 6 + strlen(anchors));
}

static void put_value(world_t *world, input_t *input)
{
    const char *key = s_keys[take_choice(input, KEYS)];
    unsigned kind = take_choice(input, 4);
    input_t slice;
    if (kind == 0) {
        slice = take_slice(input);
        medium_put(&world->fake, key, slice.data, slice.len < FAKE_VALUE_MAX ? slice.len : FAKE_VALUE_MAX);
    } else if (kind == 1 || strcmp(key, "commit") == 0 || strcmp(key, "time") == 0) {
        uint8_t version = take_u8(input);
        slice = take_slice(input);
        medium_put_framed(&world->fake, key, version < 0xF0 ? 1 + version % 2 : version, slice.data, slice.len);
    } else if (strncmp(key, "slot_", 5) == 0) {
        put_identity(world, key, input);
    } else {
        put_anchors(world, key, input);
    }
}

static bool any_value_is_newer(world_t *world)
{
    for (size_t i = 0; i < KEYS; i++) {
        const fake_value_t *value = fake_port_value(&world->fake, s_keys[i]);
        if (value != NULL && medium_is_newer(value)) {
            return true;
        }
    }
    return false;
}

/* Is the identity in use by this record one that can be connected with? */
static bool current_is_real(world_t *world)
{
    medium_view_t view;
    medium_view(&world->fake, &view);
    const medium_slot_t *slot = &view.slots[view.current];
    const fake_value_t *value = fake_port_value(&world->fake, view.current == 1 ? "slot_a" : "slot_b");
    return view.has_record && view.current != 0 && view.current != view.trial && slot->is_intact &&
           slot->chain_len > 0 && (slot->origin == 1 || slot->origin == 2) && value->data[7] == 0 &&
           pool_key_in(slot->key, slot->key_len) != NULL;
}

static void check_boot(world_t *world)
{
    bool has_identity = current_is_real(world);
    bool is_newer = any_value_is_newer(world);
    uint64_t stored = medium_fingerprint(&world->fake, MEDIUM_KEYS);
    world_boot(world);
    if (world->agent.phase == CERT_PHASE_STOPPED) {
        REQUIRE(is_newer, "the device does not start with what it finds");
        REQUIRE(medium_fingerprint(&world->fake, MEDIUM_KEYS) == stored, "a store that is not used was changed");
        return;
    }
    for (int i = 0; i <= CERT_AMBIGUOUS_LIMIT && !world->asked; i++) {
        world_tick(world, world_tick(world, 0)); /* it comes back to a certificate that it cannot read */
    }
    REQUIRE(world->asked, "the device does not connect");
    REQUIRE(!has_identity || world->fake.connect.identity != CERT_IDENTITY_BOOTSTRAP,
            "an identity that works was given up");
}

/* What two starts have repaired stays: the third writes no more than its count of starts, which is in the record. */
static void check_repaired(world_t *world)
{
    static const char keys[] = "slot_a slot_b trust trust_trial time settings";
    world_power_cycle(world, 0);
    uint64_t stored = medium_fingerprint(&world->fake, keys);
    world_power_cycle(world, 0);
    REQUIRE(medium_fingerprint(&world->fake, keys) == stored, "repairs the same again");
}

static void step(world_t *world, input_t *input)
{
    uint8_t choice = take_u8(input);
    uint32_t connection = world->fake.connect.connection;
    switch (choice % 6) {
    case 0:
        world_connected(world, connection);
        break;
    case 1:
        world_failed(world, connection, (cert_failure_t)(choice / 6 % 4));
        break;
    case 2:
        world_tick(world, (uint64_t)choice * 1000);
        break;
    case 3:
        world_tick(world, world_tick(world, 0));
        break;
    case 4:
        world_boot(world);
        break;
    default:
        world_power_cycle(world, choice);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static world_t world;
    input_t input = {data, len};
    if (pool_leaks_in(data, len)) {
        return -1;
    }
    pool_next_key = 0;
    world_init(&world);
    world.expects_real_identities = false;
    world.fake.clock = TEST_NOW + ((int64_t)take_u16(&input) - 0x8000) * TEST_DAY / 4;
    world.fake.boot_ram.boots = take_u16(&input);
    for (unsigned count = take_choice(&input, VALUES_MAX); count > 0; count--) {
        put_value(&world, &input);
    }
    check_boot(&world);
    check_repaired(&world);
    for (unsigned i = 0; i < STEPS_MAX && input.len > 0; i++) {
        step(&world, &input);
    }
    return 0;
}
