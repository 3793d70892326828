/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stories.h"

#include <string.h>

#include "testing.h"

/* Longer than the device waits before it repeats anything, and than the activation window. */
#define PATIENCE_MS (3 * 60 * 60 * 1000)

/* Renewal is due after 85 percent of the validity. */
#define RENEWAL_DUE (AUTHORITY_VALIDITY / 100 * 88)

static bool is_online(const life_t *life)
{
    return life->agent.phase == CERT_PHASE_ONLINE && life->session >= 0;
}

/** The rotation begun last. */
static cloud_rotation_t *last_rotation(const life_t *life)
{
    return cloud_last_rotation(&life->world->cloud);
}

/* ---------------------------------------------------------------- nothing but running */

const story_t story_just_run = {.name = "just-run", .begins_enrolled = true, .is_done = life_is_settled};

/* ---------------------------------------------------------------- enrolment */

static bool is_enrolled_anew(const life_t *life)
{
    return life_is_settled(life) && life->session != 0;
}

static bool revoke_first(life_t *life)
{
    if (life->world->step > 0) {
        return false;
    }
    life->world->step = 1;
    cloud_revoke(&life->world->cloud, 0);
    return true;
}

/* ---------------------------------------------------------------- rotation */

/** An open rotation that does not get on. @return whether anything was done */
static bool end_stuck(life_t *life, cloud_rotation_t *rotation)
{
    if (life->seen_rotation != rotation || life->seen_state != rotation->state) {
        life->seen_rotation = rotation;
        life->seen_state = rotation->state;
        life->seen_ms = life->now_ms;
    }
    if (life->now_ms - life->seen_ms < PATIENCE_MS) {
        return false;
    }
    life->seen_rotation = NULL;
    if (!cloud_window_over(&life->world->cloud, rotation)) {
        life_kick(life); /* the device comes back and says who it is */
    }
    return true;
}

bool story_conduct_rotation(life_t *life, cloud_rotation_kind_t kind)
{
    cloud_rotation_t *rotation = last_rotation(life);
    if (rotation != NULL && cloud_is_open(rotation)) {
        return end_stuck(life, rotation);
    }
    if (!life_is_settled(life)) {
        return false;
    }
    cloud_outlet_t outlet = life_outlet(life);
    cloud_rotate(&life->world->cloud, &outlet, kind);
    return true;
}

/** Conduct rotations until one is committed. */
static bool conduct_until_committed(life_t *life, cloud_rotation_kind_t kind)
{
    const cloud_rotation_t *rotation = last_rotation(life);
    bool is_committed = rotation != NULL && rotation->state == ROTATION_COMMITTED;
    return !is_committed && story_conduct_rotation(life, kind);
}

static bool rotate_by_csr(life_t *life)
{
    return conduct_until_committed(life, ROTATE_BY_CSR);
}

static bool rotate_on_same_key(life_t *life)
{
    return conduct_until_committed(life, ROTATE_ON_SAME_KEY);
}

static bool rotate_by_push(life_t *life)
{
    return conduct_until_committed(life, ROTATE_BY_PUSH);
}

static bool is_rotated(const life_t *life)
{
    const cloud_rotation_t *rotation = last_rotation(life);
    return rotation != NULL && rotation->state == ROTATION_COMMITTED && life_is_settled(life) &&
           rotation->new_certificate == life->session;
}

static void refuse_candidates(world_t *world)
{
    world->cloud.refuses_candidates = true;
}

/** The candidate of the first rotation is refused; once that has ended, the operator rotates again, and means it. */
static bool refuse_then_rotate(life_t *life)
{
    const cloud_rotation_t *rotation = last_rotation(life);
    if (rotation != NULL && !cloud_is_open(rotation)) {
        life->world->cloud.refuses_candidates = false;
    }
    return conduct_until_committed(life, ROTATE_BY_PUSH);
}

static bool is_on_trial(const life_t *life)
{
    return life->agent.record.trial != CERT_SLOT_NONE;
}

/** An older firmware was refused its candidate once; its store is in version 1 of the format. */
static void begin_trial_in_version_1(world_t *world)
{
    static const story_t until_refused = {
        .name = "until-refused", .begins_enrolled = true, .act = rotate_by_push, .is_done = is_on_trial};
    static const uint8_t record[] = {
        'C', 'M', 'C', 'R', 1, 0, CERT_SLOT_A, CERT_SLOT_B, 1, 0, 0, 0, 1, 0, 0, 0, 0x10, 0x38, 0x71, 0xA7};
    static life_t life;
    refuse_candidates(world);
    life_prepare(&life, world, &until_refused);
    life_end_t end = life_live(&life);
    assert_int_equal(end, LIFE_DONE);
    medium_value_t *value = &world->medium.values[MEDIUM_COMMIT];
    memcpy(value->data, record, sizeof(record));
    value->len = sizeof(record);
    world_lose_power(world, false, true);
}

static void lose_commits(world_t *world)
{
    world->cloud.commits_to_lose = 2;
}

static void say_commit_twice(world_t *world)
{
    world->cloud.says_commit_twice = true;
}

static void let_time_pass(world_t *world)
{
    world->cloud.now += RENEWAL_DUE;
}

static bool wait_for_renewal(life_t *life)
{
    cloud_rotation_t *rotation = last_rotation(life);
    return rotation != NULL && cloud_is_open(rotation) && end_stuck(life, rotation);
}

static bool rotate_once_more(life_t *life)
{
    life->world->cloud.refuses_candidates = false;
    life->world->cloud.commits_to_lose = 0;
    return conduct_until_committed(life, ROTATE_BY_CSR);
}

static void forget_rotations(world_t *world)
{
    cloud_rotation_t *rotation = cloud_last_rotation(&world->cloud);
    if (rotation != NULL && rotation->state == ROTATION_COMMITTED) {
        rotation->state = ROTATION_ABANDONED; /* of the past */
    }
}

const story_t story_rotate_once_more = {
    .name = "rotate-once-more",
    .begins_enrolled = true,
    .prepare = forget_rotations,
    .act = rotate_once_more,
    .is_done = is_rotated,
};

/* ---------------------------------------------------------------- trust anchors */

#define BAD_SET 1
#define GOOD_SET 2

static void send_trust(life_t *life, uint32_t version)
{
    static const root_t bad[] = {ROOT_FOREIGN, ROOTS};
    static const root_t good[] = {ROOT_FIRST, ROOT_SECOND, ROOTS};
    static char *messages[GOOD_SET + 1];
    if (messages[version] == NULL) {
        messages[version] = authority_trust_message(version, version == BAD_SET ? bad : good);
    }
    cloud_outlet_t outlet = life_outlet(life);
    outlet.send(outlet.ctx, "trust", cJSON_Parse(messages[version]));
}

bool story_update_trust(life_t *life)
{
    world_t *world = life->world;
    if (!is_online(life)) {
        return false;
    }
    if (world->cloud.trust_version != GOOD_SET) {
        send_trust(life, GOOD_SET);
        return true;
    }
    if (world->server_root == ROOT_FIRST) {
        world->server_root = ROOT_SECOND;
        life_kick(life);
        return true;
    }
    return false;
}

void story_send_bad_trust(life_t *life)
{
    send_trust(life, BAD_SET);
}

static bool fail_trust_then_update(life_t *life)
{
    if (life->world->was_untrusted) {
        return story_update_trust(life);
    }
    if (!is_online(life)) {
        return false;
    }
    story_send_bad_trust(life);
    return true;
}

static bool is_trust_updated(const life_t *life)
{
    const world_t *world = life->world;
    return life_is_settled(life) && world->server_root == ROOT_SECOND && world->cloud.trust_version == GOOD_SET &&
           world->medium.values[MEDIUM_TRUST].present && !life->agent.trust_on_trial;
}

/* ---------------------------------------------------------------- factory reset */

void story_reset_device(life_t *life)
{
    life->world->cloud.may_reenroll = true;
    life->world->is_being_reset = true;
    (void)cert_agent_factory_reset(&life->agent);
}

/** The user resets the device, and again if it comes back as if nothing had been. */
static bool reset_device(life_t *life)
{
    if (!life_is_settled(life) || life->session != 0) {
        return false;
    }
    story_reset_device(life);
    return true;
}

/* ---------------------------------------------------------------- the table */

const story_t stories[] = {
    {.name = "first-enrolment", .is_done = life_is_settled},
    {.name = "rotation-by-csr", .begins_enrolled = true, .takes_up_again = true,
     .act = rotate_by_csr, .is_done = is_rotated},
    {.name = "rotation-on-same-key", .begins_enrolled = true, .takes_up_again = true,
     .act = rotate_on_same_key, .is_done = is_rotated},
    {.name = "rotation-pushed", .begins_enrolled = true, .act = rotate_by_push, .is_done = is_rotated},
    {.name = "rotation-with-restart", .begins_enrolled = true, .restarts_device = true, .act = rotate_by_push,
     .is_done = is_rotated},
    {.name = "trial-refused", .begins_enrolled = true, .tells_the_end = true, .prepare = refuse_candidates,
     .act = refuse_then_rotate, .is_done = is_rotated},
    {.name = "store-upgrade", .begins_enrolled = true, .tells_the_end = true, .prepare = begin_trial_in_version_1,
     .act = refuse_then_rotate, .is_done = is_rotated},
    {.name = "commit-lost", .begins_enrolled = true, .takes_up_again = true, .prepare = lose_commits,
     .act = rotate_by_csr, .is_done = is_rotated},
    {.name = "commit-repeated", .begins_enrolled = true, .prepare = say_commit_twice,
     .act = rotate_by_push, .is_done = is_rotated},
    {.name = "renewal-by-device", .begins_enrolled = true, .takes_up_again = true, .prepare = let_time_pass,
     .act = wait_for_renewal, .is_done = is_rotated},
    {.name = "quarantine-reenrolment", .begins_enrolled = true, .act = revoke_first, .is_done = is_enrolled_anew},
    {.name = "trust-update", .begins_enrolled = true, .act = story_update_trust, .is_done = is_trust_updated},
    {.name = "trust-update-failed", .begins_enrolled = true,
     .act = fail_trust_then_update, .is_done = is_trust_updated},
    {.name = "factory-reset", .begins_enrolled = true, .act = reset_device, .is_done = is_enrolled_anew},
    {0},
};

const story_t *story_find(const char *name)
{
    for (const story_t *story = stories; story->name != NULL; story++) {
        if (strcmp(story->name, name) == 0) {
            return story;
        }
    }
    return NULL;
}
