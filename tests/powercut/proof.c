/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proof.h"

#include <string.h>

#include "identity_store.h"
#include "stories.h"

/** Is this key in use, or was it: has any certificate for it been active? */
static bool was_in_use(const cloud_t *cloud, int key)
{
    for (int i = 0; i < cloud->certificate_count; i++) {
        if (cloud->certificates[i].key == key && cloud->certificates[i].was_active) {
            return true;
        }
    }
    return false;
}

/** A key that was never in use may wait for an answer of the cloud in the free slot; every other one has to be gone. */
static void check_keys(life_t *life, medium_key_t current)
{
    const world_t *world = life->world;
    for (int key = 0; key < world->cloud.keys_made; key++) {
        for (medium_key_t place = 0; place < MEDIUM_KEYS; place++) {
            const medium_value_t *value = &world->medium.values[place];
            bool is_active = key == world->cloud.certificates[life->session].key;
            bool may_be_there = place == current ? is_active : !was_in_use(&world->cloud, key);
            if (value->present && authority_key_is_in(key, value->data, value->len) && !may_be_there) {
                life_fail(life, "%s still holds the key of an identity that is given up", medium_key_name(place));
            }
        }
    }
}

bool proof_holds(life_t *life, world_t *world, bool is_verbose)
{
    world_lose_power(world, false, true);
    life_prepare(life, world, &story_just_run);
    life->is_verbose = is_verbose;
    if (life_live(life) != LIFE_DONE) {
        return false;
    }
    const cert_commit_record_t *record = &life->agent.record;
    medium_key_t current = record->current == CERT_SLOT_A ? MEDIUM_SLOT_A : MEDIUM_SLOT_B;
    if (record->trial != CERT_SLOT_NONE) {
        life_fail(life, "slot %s is still on trial", store_slot_name(record->trial));
    }
    if (!world->medium.values[current].present) {
        life_fail(life, "the commit record names an empty slot");
    }
    check_keys(life, current);
    return life->why[0] == '\0';
}
