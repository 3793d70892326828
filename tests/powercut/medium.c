/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "medium.h"

#include <string.h>

#define BLANK 0xFF /* a byte of erased flash */

static const char *const s_key_names[] = {
    [MEDIUM_SLOT_A] = "slot_a", [MEDIUM_SLOT_B] = "slot_b", [MEDIUM_COMMIT] = "commit",
    [MEDIUM_TIME] = "time", [MEDIUM_TRUST] = "trust", [MEDIUM_TRUST_TRIAL] = "trust_trial",
};

static const char *const s_left_names[] = {
    [LEFT_LOST] = "lost", [LEFT_COMPLETE] = "complete", [LEFT_TRUNCATED] = "truncated",
    [LEFT_MIXED] = "mixed", [LEFT_BLANK] = "blank",
};

const char *medium_key_name(medium_key_t key)
{
    return s_key_names[key];
}

const char *medium_left_name(medium_left_t left)
{
    return s_left_names[left];
}

medium_key_t medium_find_key(const char *name)
{
    medium_key_t key = 0;
    while (key < MEDIUM_KEYS && strcmp(s_key_names[key], name) != 0) {
        key++;
    }
    return key;
}

size_t medium_change_len(const medium_t *medium, const medium_change_t *change)
{
    return change->value.present ? change->value.len : medium->values[change->key].len;
}

static void tear_write(medium_value_t *value, const medium_value_t *new_value, medium_left_t left, size_t prefix)
{
    memcpy(value->data, new_value->data, prefix);
    if (left == LEFT_TRUNCATED) {
        value->len = prefix;
    } else if (left == LEFT_BLANK) {
        memset(value->data + prefix, BLANK, new_value->len - prefix);
        value->len = new_value->len;
    } else if (value->len < prefix) {
        value->len = prefix;
    }
    value->present = true;
}

static void tear_erase(medium_value_t *value, medium_left_t left, size_t prefix)
{
    if (left == LEFT_TRUNCATED) {
        value->len = prefix;
    } else {
        memset(value->data, BLANK, prefix);
    }
}

void medium_apply(medium_t *medium, const medium_change_t *change, medium_left_t left, size_t prefix)
{
    medium_value_t *value = &medium->values[change->key];
    if (left == LEFT_COMPLETE) {
        *value = change->value;
    } else if (left != LEFT_LOST && change->value.present) {
        tear_write(value, &change->value, left, prefix);
    } else if (left != LEFT_LOST && value->present) {
        tear_erase(value, left, prefix);
    }
}
