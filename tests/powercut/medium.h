/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The emulated store: what is on the medium, and what a loss of power during a change may leave there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Largest value of the simulated device: a slot with a P-256 key and two certificates takes about 1,500 bytes. */
#define MEDIUM_VALUE_MAX 2560

/** @brief The values a device may store. */
typedef enum {
    MEDIUM_SLOT_A,
    MEDIUM_SLOT_B,
    MEDIUM_COMMIT,
    MEDIUM_TIME,
    MEDIUM_TRUST,
    MEDIUM_TRUST_TRIAL,
    MEDIUM_KEYS,
} medium_key_t;

/** @brief One stored value. */
typedef struct {
    bool present;
    size_t len;
    uint8_t data[MEDIUM_VALUE_MAX];
} medium_value_t;

/** @brief The medium. All zero: empty. */
typedef struct {
    medium_value_t values[MEDIUM_KEYS];
} medium_t;

/** @brief A change asked for. */
typedef struct {
    medium_key_t key;
    medium_value_t value; /* not present: an erase */
} medium_change_t;

/**
 * @brief What a loss of power during a change leaves on the medium. The port's contract allows the first two; the
 * others are media that break it.
 */
typedef enum {
    LEFT_LOST,      /*!< The old value: nothing has happened yet */
    LEFT_COMPLETE,  /*!< The new value: the device died right after */
    LEFT_TRUNCATED, /*!< A prefix of the new value; of an erase: a prefix of the old one */
    LEFT_MIXED,     /*!< A prefix of the new value over the old one; of an erase: overwritten up to there */
    LEFT_BLANK,     /*!< A prefix of the new value, then erased flash (0xFF) */
    LEFT_KINDS,
} medium_left_t;

/** @brief The name of a key in the port's key-value store. */
const char *medium_key_name(medium_key_t key);

/** @brief The key of a name; MEDIUM_KEYS if the device must not use it. */
medium_key_t medium_find_key(const char *name);

/** @brief "lost", "complete", "truncated", "mixed", "blank". */
const char *medium_left_name(medium_left_t left);

/** @brief How many bytes a change writes: the number of its torn states. */
size_t medium_change_len(const medium_t *medium, const medium_change_t *change);

/** @brief Carry out a change, as far as `left` says. @param prefix  Bytes of it that got through, of a torn one */
void medium_apply(medium_t *medium, const medium_change_t *change, medium_left_t left, size_t prefix);
