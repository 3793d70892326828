/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief What the store holds, read by docs/identity-store.md and not by the core.
 */
#pragma once

#include "fake_port.h"

/** @brief One slot. */
typedef struct {
    bool is_present;
    bool is_intact;      /* frame and lengths are right, of a format version this firmware knows */
    uint8_t origin;
    uint32_t generation;
    const uint8_t *key;
    size_t key_len;
    const char *chain;   /* not NUL-terminated */
    size_t chain_len;    /* 0: pending */
} medium_slot_t;

/** @brief The store. Pointers into the medium: valid until it changes. */
typedef struct {
    bool has_record;     /* present and intact */
    uint8_t current;     /* 0 none, 1 A, 2 B */
    uint8_t trial;
    uint32_t generation;
    medium_slot_t slots[3]; /* by number; [0] is always empty */
} medium_view_t;

/** @brief Look at the store. */
void medium_view(fake_port_t *fake, medium_view_t *view);

/** @brief Is a value of a format version above 1, or longer than any of version 1? */
bool medium_is_newer(const fake_value_t *value);

/** @brief Store a value by force. */
void medium_put(fake_port_t *fake, const char *key, const uint8_t *data, size_t len);

/** @brief As medium_put(), with a frame around the content: magic, version, CRC. */
void medium_put_framed(fake_port_t *fake, const char *key, uint16_t version, const uint8_t *content, size_t len);

/** @brief A number that changes when any stored value of `keys` (blank-separated) changes. */
uint64_t medium_fingerprint(fake_port_t *fake, const char *keys);

/** Every key of the store. */
#define MEDIUM_KEYS "slot_a slot_b commit trust trust_trial time settings"
