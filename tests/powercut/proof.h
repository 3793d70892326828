/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief What has to be true when a scenario has come to its end, however often the power was cut on the way.
 */
#pragma once

#include "life.h"

/**
 * @brief Switch the device off and on again in a world whose story is done and look at everything: it boots, gets
 * online with its active certificate, nothing is on trial, and no value but the current slot holds a key that is or was
 * in use.
 *
 * @param life  Scratch; `life->why` says what is wrong.
 * @return whether all is well
 */
bool proof_holds(life_t *life, world_t *world, bool is_verbose);
