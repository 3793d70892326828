/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief A loss of power: at which change of the store, and what it leaves.
 */
#pragma once

#include "life.h"

/** @brief One cut. */
typedef struct {
    unsigned change;    /* the power goes at this change of the store, counted from 1 since the last start */
    medium_left_t left;
    size_t prefix;      /* bytes that got through, of a torn change */
    bool keeps_ram;     /* a crash: the boot-surviving RAM and the clock survive */
    bool sent;          /* messages on their way still reach the cloud */
} cut_t;

/** Longest text of a cut, with the NUL. */
#define CUT_TEXT_MAX 48

/** @brief Write a cut as --cut takes it, e.g. "7:lost", "3:complete+ram+sent", "5:mixed@20". */
void cut_format(const cut_t *cut, char *text);

/** @brief Read it back. @return whether it can be read */
bool cut_parse(const char *text, cut_t *cut);

/** @brief The world after a cut that happens at `change`. */
void cut_carry_out(const cut_t *cut, world_t *world, const medium_change_t *change);
