/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The scenarios: what operators and users do, and when it is done.
 */
#pragma once

#include "life.h"

/** The scenarios, ending in one without a name. */
extern const story_t stories[];

/** @brief The scenario of a name; NULL if there is none. */
const story_t *story_find(const char *name);

/** The device is switched on and gets online with the certificate it has, and nobody does anything. */
extern const story_t story_just_run;

/** An operator rotates once more, until that is done. */
extern const story_t story_rotate_once_more;

/** @brief An operator deals with a rotation: waits for an open one, ends one that does not get on, orders another one.
 *  @return whether anything was done */
bool story_conduct_rotation(life_t *life, cloud_rotation_kind_t kind);

/** @brief Begin a factory reset that the operator has allowed. */
void story_reset_device(life_t *life);

/** @brief An operator updates the trust anchors: sends the good set until the device reports it, then moves the servers
 *  to the second root. @return whether anything was done */
bool story_update_trust(life_t *life);

/** @brief By mistake: a set that no server of ours can be verified with. */
void story_send_bad_trust(life_t *life);
