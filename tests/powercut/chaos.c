/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "chaos.h"

#include <stdio.h>

#include "cut.h"
#include "proof.h"
#include "stories.h"

/* What an operator or user does in one run, and how often the power is cut at most. */
#define DEEDS 12
#define CUTS_MAX 60

/* One change of the store in so many is cut. */
#define CHANGES_PER_CUT 7

/* While the device waits, something is done at every so many-th occasion. */
#define OCCASIONS_PER_DEED 4

/* The activation window. */
#define PATIENCE_MS (60 * 60 * 1000)

#define TIME_STEP (AUTHORITY_VALIDITY / 100 * 88)

static const wire_faults_t s_faults = {.lost = 8, .repeated = 8, .reordered = 20, .broken = 8};

typedef struct {
    world_t world;
    life_t life;
    world_t at_cut;
    medium_change_t change;
    unsigned cuts;
} run_t;

static bool do_something(life_t *life)
{
    cloud_t *cloud = &life->world->cloud;
    switch (life_dice(life, 11)) {
    case 0:
        return story_conduct_rotation(life, ROTATE_BY_CSR);
    case 1:
        return story_conduct_rotation(life, ROTATE_BY_PUSH);
    case 2:
        return story_conduct_rotation(life, ROTATE_ON_SAME_KEY);
    case 3:
        cloud->refuses_candidates = !cloud->refuses_candidates;
        return true;
    case 4:
        cloud_revoke(cloud, life->session);
        return true;
    case 5:
        cloud->now += TIME_STEP;
        return true;
    case 6:
        cloud->commits_to_lose++;
        return true;
    case 7:
        story_reset_device(life);
        return true;
    case 8:
        return story_update_trust(life);
    case 9:
        story_send_bad_trust(life);
        return true;
    default:
        life_kick(life);
        return true;
    }
}

/** An enrolled certificate whose device is not heard of is revoked in the end. @return whether there is one */
static bool revoke_unactivated(life_t *life)
{
    bool is_due = life->session >= 0 && life_idle_ms(life) > PATIENCE_MS &&
                  life->world->cloud.certificates[life->session].state == CERTIFICATE_ISSUED;
    if (is_due) {
        cloud_revoke(&life->world->cloud, life->session);
    }
    return is_due;
}

static bool act(life_t *life)
{
    cloud_rotation_t *rotation = cloud_last_rotation(&life->world->cloud);
    if (rotation != NULL && cloud_is_open(rotation)) {
        return story_conduct_rotation(life, rotation->kind);
    }
    if (revoke_unactivated(life)) {
        return true;
    }
    if (!life_is_settled(life) || life_dice(life, OCCASIONS_PER_DEED) != 0) {
        return false;
    }
    life->world->is_being_reset = false;
    bool is_done = do_something(life);
    life->world->step += is_done;
    return is_done;
}

static bool is_done(const life_t *life)
{
    return life->world->step >= DEEDS;
}

static const story_t s_chaos = {.name = "chaos", .act = act, .is_done = is_done};

static void cut_at_random(void *ctx, life_t *life, const medium_change_t *change)
{
    run_t *run = ctx;
    if (run->cuts < CUTS_MAX && life_dice(life, CHANGES_PER_CUT) == 0) {
        run->cuts++;
        run->at_cut = *life->world;
        run->change = *change;
        life_cut(life);
    }
}

static life_end_t live(run_t *run, uint32_t chaos, bool is_verbose)
{
    life_t *life = &run->life;
    life_prepare(life, &run->world, &s_chaos);
    life->is_verbose = is_verbose;
    life->chaos = chaos;
    life->faults = s_faults;
    life->on_change = cut_at_random;
    life->on_change_ctx = run;
    return life_live(life);
}

static void lose_power(run_t *run, bool is_verbose)
{
    char text[CUT_TEXT_MAX];
    cut_t cut = {
        .change = run->life.changes,
        .left = life_dice(&run->life, 2) == 0 ? LEFT_LOST : LEFT_COMPLETE,
        .keeps_ram = life_dice(&run->life, 2) == 0,
        .sent = life_dice(&run->life, 2) == 0,
    };
    run->world = run->at_cut;
    cut_carry_out(&cut, &run->world, &run->change);
    if (is_verbose) {
        cut_format(&cut, text);
        printf("  ---- power cut %s (%s)\n", text, medium_key_name(run->change.key));
    }
}

/** Nothing goes wrong any more: one more rotation has to go through. */
static bool comes_to_rest(run_t *run, bool is_verbose)
{
    story_rotate_once_more.prepare(&run->world);
    life_prepare(&run->life, &run->world, &story_rotate_once_more);
    run->life.is_verbose = is_verbose;
    return life_live(&run->life) == LIFE_DONE && proof_holds(&run->life, &run->world, is_verbose);
}

bool chaos_run(uint32_t seed, bool is_verbose, unsigned *cuts)
{
    static run_t run;
    world_make(&run.world);
    run.cuts = 0;
    uint32_t chaos = seed * 2654435761u + 1;
    life_end_t end;
    while ((end = live(&run, chaos, is_verbose)) == LIFE_CUT) {
        lose_power(&run, is_verbose);
        chaos = run.life.chaos;
    }
    *cuts = run.cuts;
    bool came_through = end == LIFE_DONE && comes_to_rest(&run, is_verbose);
    if (!came_through) {
        printf("LOST  chaos: %s\n      again: powercut --seed %u\n", run.life.why, (unsigned)seed);
    } else if (is_verbose) {
        printf("came through\n");
    }
    return came_through;
}
