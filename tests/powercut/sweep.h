/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Every cut, and every pair of cuts, of a scenario.
 */
#pragma once

#include "cut.h"

/** @brief How far to go. */
typedef enum {
    SWEEP_SINGLE, /* every cut */
    SWEEP_PAIRS,  /* every cut, every second cut during the recovery, and torn changes */
} sweep_depth_t;

/** @brief What a sweep has found. */
typedef struct {
    unsigned changes;   /* of the store, in the story undisturbed */
    unsigned cuts;      /* cut points: places and ways of a single cut */
    unsigned pairs;     /* of cuts, the second one during the recovery */
    unsigned
        torn; /* cuts that leave a torn value, on media that break the port's contract, and second cuts after some */
    unsigned lost;      /* of cuts and pairs: the device did not come through */
    unsigned torn_lost; /* of torn */
} sweep_result_t;

/** @brief Sweep a scenario; prints every device lost, and how to see that again. */
sweep_result_t sweep_story(const story_t *story, sweep_depth_t depth);

/** @brief Tell a scenario with these cuts, in detail. @return whether the device came through */
bool sweep_replay(const story_t *story, const cut_t *cuts, unsigned count);
