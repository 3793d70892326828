/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sweep.h"

#include <stdio.h>
#include <string.h>

#include "proof.h"
#include "stories.h"
#include "testing.h"

/* Changes of the store in one life, at most. */
#define CHANGES_MAX 96

/* Prefixes of a torn value: all up to here, every so many-th, and all from here to the end. */
#define DENSE_HEAD 24
#define DENSE_TAIL 6
#define SPARSE_STEP 151

/* After a value torn here, in the middle of its header, and right before its end, the recovery is cut as well. */
#define SECOND_CUTS_AT 10

/* How many of a lost scenario's cases are printed. */
#define PRINTED_MAX 5

/* The world right before a change. */
typedef struct {
    world_t before;
    medium_change_t change;
} moment_t;

typedef struct {
    moment_t moments[CHANGES_MAX];
    unsigned count;
} recording_t;

/* A sweep under way. Cuts on the way to the present case are kept to tell how to reproduce it. */
typedef struct {
    const story_t *story;
    cut_t path[2];
    unsigned path_len;
    unsigned printed;
    life_t life;
    world_t world;
    recording_t first;
    recording_t second;
} sweep_t;

static sweep_t s_sweep;

/* ---------------------------------------------------------------- one case */

static void record(void *ctx, life_t *life, const medium_change_t *change)
{
    recording_t *recording = ctx;
    assert_true(recording->count < CHANGES_MAX);
    moment_t *moment = &recording->moments[recording->count++];
    moment->before = *life->world;
    moment->change = *change;
}

/**
 * Let the world in s_sweep.world come to its end. @param recording  Takes every change of the store; NULL: not wanted
 */
static bool comes_through(sweep_t *sweep, recording_t *recording)
{
    life_t *life = &sweep->life;
    life_prepare(life, &sweep->world, sweep->story);
    if (recording != NULL) {
        recording->count = 0;
        life->on_change = record;
        life->on_change_ctx = recording;
    }
    return life_live(life) == LIFE_DONE && proof_holds(life, &sweep->world, false);
}

static void report_lost(sweep_t *sweep)
{
    if (sweep->printed++ >= PRINTED_MAX) {
        return;
    }
    printf("LOST  %s: %s\n      again: powercut --scenario %s", sweep->story->name, sweep->life.why,
           sweep->story->name);
    for (unsigned i = 0; i < sweep->path_len; i++) {
        char text[CUT_TEXT_MAX];
        cut_format(&sweep->path[i], text);
        printf(" --cut %s", text);
    }
    printf("\n");
}

static bool had_to_begin_again(const sweep_t *sweep)
{
    return sweep->story->takes_up_again && sweep->world.cloud.rotation_count > 1;
}

/** Has the cloud given up a rotation whose certificate the device had on trial, instead of being told? */
static bool was_left_in_the_dark(const sweep_t *sweep)
{
    const world_t *world = &sweep->world;
    for (int i = 0; i < world->cloud.rotation_count; i++) {
        if ((world->tried >> i & 1) != 0 && world->cloud.rotations[i].state == ROTATION_ABANDONED) {
            return sweep->story->tells_the_end;
        }
    }
    return false;
}

static bool is_conforming(const sweep_t *sweep)
{
    return sweep->path[0].left <= LEFT_COMPLETE;
}

/** The world after the cuts so far and one more. @return whether the device comes through */
static bool survives(sweep_t *sweep, const moment_t *moment, const cut_t *cut, recording_t *recording)
{
    sweep->path[sweep->path_len++] = *cut;
    sweep->world = moment->before;
    cut_carry_out(cut, &sweep->world, &moment->change);
    bool survived = comes_through(sweep, recording);
    if (survived && sweep->path_len == 1 && is_conforming(sweep) && had_to_begin_again(sweep)) {
        life_fail(&sweep->life, "the rotation had to be ordered again");
        survived = false;
    }
    if (survived && is_conforming(sweep) && was_left_in_the_dark(sweep)) {
        life_fail(&sweep->life, "the cloud has not been told that the trial failed");
        survived = false;
    }
    if (!survived) {
        report_lost(sweep);
    }
    return survived;
}

/* ---------------------------------------------------------------- all cases */

/**
 * The next way in which a medium that keeps the contract can lose power at this moment. @return false after the last
 * one
 */
static bool next_way(cut_t *cut, const moment_t *moment)
{
    bool has_messages = moment->before.up_count > 0;
    if (has_messages && !cut->sent) {
        cut->sent = true;
        return true;
    }
    cut->sent = false;
    if (!cut->keeps_ram) {
        cut->keeps_ram = true;
        return true;
    }
    cut->keeps_ram = false;
    cut->left++;
    return cut->left <= LEFT_COMPLETE;
}

/** Every cut during the recovery that was recorded. @param[out] cases, lost  Are added to */
static void sweep_second_cuts(sweep_t *sweep, unsigned *cases, unsigned *lost)
{
    for (unsigned i = 0; i < sweep->second.count; i++) {
        cut_t cut = {.change = i + 1};
        do {
            (*cases)++;
            *lost += survives(sweep, &sweep->second.moments[i], &cut, NULL) ? 0u : 1u;
            sweep->path_len--;
        } while (next_way(&cut, &sweep->second.moments[i]));
    }
}

static void sweep_cuts(sweep_t *sweep, sweep_depth_t depth, sweep_result_t *result)
{
    for (unsigned i = 0; i < sweep->first.count; i++) {
        cut_t cut = {.change = i + 1};
        do {
            result->cuts++;
            bool survived = survives(sweep, &sweep->first.moments[i], &cut, &sweep->second);
            result->lost += survived ? 0u : 1u;
            if (survived && depth == SWEEP_PAIRS) {
                sweep_second_cuts(sweep, &result->pairs, &result->lost);
            }
            sweep->path_len--;
        } while (next_way(&cut, &sweep->first.moments[i]));
    }
}

/** The next prefix to try: every one in a header and at the end, and some in between. */
static size_t next_prefix(size_t prefix, size_t len)
{
    bool is_dense = prefix < DENSE_HEAD || prefix + DENSE_TAIL >= len;
    size_t next = prefix + (is_dense ? 1 : SPARSE_STEP);
    return !is_dense && next + DENSE_TAIL > len ? len - DENSE_TAIL : next;
}

/** Torn changes, on three kinds of media that break the contract. */
static void sweep_torn(sweep_t *sweep, sweep_result_t *result)
{
    for (unsigned i = 0; i < sweep->first.count; i++) {
        const moment_t *moment = &sweep->first.moments[i];
        size_t len = medium_change_len(&moment->before.medium, &moment->change);
        cut_t cut = {.change = i + 1};
        for (cut.left = LEFT_TRUNCATED; cut.left < LEFT_KINDS; cut.left++) {
            for (cut.prefix = 0; cut.prefix < len; cut.prefix = next_prefix(cut.prefix, len)) {
                result->torn++;
                bool survived = survives(sweep, moment, &cut, &sweep->second);
                result->torn_lost += survived ? 0u : 1u;
                if (survived && (cut.prefix == SECOND_CUTS_AT || cut.prefix == len - 1)) {
                    sweep_second_cuts(sweep, &result->torn, &result->torn_lost);
                }
                sweep->path_len--;
            }
        }
    }
}

/** The world in which a scenario begins. */
static void set_stage(world_t *world, const story_t *story)
{
    static life_t life;
    world_make(world);
    if (story->begins_enrolled) {
        life_prepare(&life, world, &story_just_run);
        life_end_t end = life_live(&life);
        assert_int_equal(end, LIFE_DONE);
        world_lose_power(world, false, true);
    }
    if (story->prepare != NULL) {
        story->prepare(world);
    }
}

sweep_result_t sweep_story(const story_t *story, sweep_depth_t depth)
{
    sweep_t *sweep = &s_sweep;
    sweep_result_t result = {0};
    memset(sweep, 0, sizeof(*sweep));
    sweep->story = story;
    set_stage(&sweep->world, story);
    if (!comes_through(sweep, &sweep->first)) {
        report_lost(sweep);
        result.lost++;
        return result;
    }
    result.changes = sweep->first.count;
    sweep_cuts(sweep, depth, &result);
    if (depth == SWEEP_PAIRS) {
        sweep->printed = 0;
        sweep_torn(sweep, &result);
    }
    return result;
}

/* ---------------------------------------------------------------- one case again */

typedef struct {
    const cut_t *cut;
    moment_t moment;
} appointment_t;

static void cut_at(void *ctx, life_t *life, const medium_change_t *change)
{
    appointment_t *appointment = ctx;
    if (life->changes == appointment->cut->change) {
        appointment->moment.before = *life->world;
        appointment->moment.change = *change;
        life_cut(life);
    }
}

static bool replay_cut(life_t *life, const story_t *story, world_t *world, const cut_t *cut)
{
    static appointment_t appointment;
    char text[CUT_TEXT_MAX];
    appointment.cut = cut;
    life_prepare(life, world, story);
    life->is_verbose = true;
    life->on_change = cut_at;
    life->on_change_ctx = &appointment;
    life_end_t end = life_live(life);
    if (end != LIFE_CUT) {
        life_fail(life, "the story ended before change %u", cut->change);
        return false;
    }
    cut_format(cut, text);
    printf("  ---- power cut %s (%s)\n", text, medium_key_name(appointment.moment.change.key));
    *world = appointment.moment.before;
    cut_carry_out(cut, world, &appointment.moment.change);
    return true;
}

bool sweep_replay(const story_t *story, const cut_t *cuts, unsigned count)
{
    static life_t life;
    static world_t world;
    bool came_through = true;
    set_stage(&world, story);
    for (unsigned i = 0; i < count && came_through; i++) {
        came_through = replay_cut(&life, story, &world, &cuts[i]);
    }
    if (came_through) {
        life_prepare(&life, &world, story);
        life.is_verbose = true;
        came_through = life_live(&life) == LIFE_DONE;
    }
    if (came_through) {
        printf("  ---- done; off and on again\n");
        came_through = proof_holds(&life, &world, true);
    }
    printf("%s%s\n", came_through ? "came through" : "LOST  ", life.why);
    return came_through;
}
