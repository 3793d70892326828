/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "medium.h"

#include <string.h>

#include "bytes.h"
#include "require.h"

#define HEADER_LEN 6
#define CRC_LEN 4
#define SLOT_AT 20
#define RECORD_LEN 16
#define FLOOR_LEN 16

static const char *magic_of(const char *key)
{
    static const struct {
        const char *key;
        const char *magic;
    } magics[] = {
        { "slot_a", "CMID" }, { "slot_b", "CMID" },      { "commit", "CMCR" },
        { "trust", "CMTA" },  { "trust_trial", "CMTA" }, { "time", "CMTF" },
    };
    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        if (strcmp(magics[i].key, key) == 0) {
            return magics[i].magic;
        }
    }
    return NULL;
}

static bool has_magic(const fake_value_t *value)
{
    const char *magic = magic_of(value->key);
    return magic != NULL && value->len >= HEADER_LEN && memcmp(value->data, magic, 4) == 0;
}

static bool has_right_crc(const fake_value_t *value)
{
    size_t len = value->len >= HEADER_LEN + CRC_LEN ? value->len - CRC_LEN : 0;
    return len > 0 && bytes_get_u32(value->data + len) == bytes_crc32(value->data, len);
}

/* The longest value of this version. */
static size_t longest(const char *key)
{
    if (strcmp(key, "commit") == 0) {
        return RECORD_LEN + CERT_REQUEST_ID_MAX + CRC_LEN;
    }
    return strcmp(key, "time") == 0 ? FLOOR_LEN + CRC_LEN : CERT_SLOT_BLOB_MAX;
}

static uint16_t newest_version(const char *key)
{
    return strcmp(key, "commit") == 0 ? 2 : 1;
}

bool medium_is_newer(const fake_value_t *value)
{
    if (magic_of(value->key) == NULL) {
        return false;
    }
    return value->len > longest(value->key) ||
           (has_magic(value) && has_right_crc(value) && bytes_get_u16(value->data + 4) > newest_version(value->key));
}

/* The bytes before the CRC; 0 unless the frame is right. */
static size_t intact_len(const fake_value_t *value)
{
    bool is_intact = has_magic(value) && has_right_crc(value) && !medium_is_newer(value);
    return is_intact ? value->len - CRC_LEN : 0;
}

static void view_slot(fake_port_t *fake, const char *key, medium_slot_t *slot)
{
    const fake_value_t *value = fake_port_value(fake, key);
    *slot = (medium_slot_t){.is_present = value != NULL};
    size_t len = value != NULL ? intact_len(value) : 0;
    if (len < SLOT_AT) {
        return;
    }
    size_t id_len = bytes_get_u16(value->data + 12);
    slot->origin = value->data[6];
    slot->generation = bytes_get_u32(value->data + 8);
    slot->key_len = bytes_get_u16(value->data + 14);
    slot->chain_len = bytes_get_u16(value->data + 16);
    slot->key = value->data + SLOT_AT + id_len;
    slot->chain = (const char *)slot->key + slot->key_len;
    slot->is_intact = SLOT_AT + id_len + slot->key_len + slot->chain_len == len;
}

void medium_view(fake_port_t *fake, medium_view_t *view)
{
    *view = (medium_view_t){0};
    view_slot(fake, "slot_a", &view->slots[1]);
    view_slot(fake, "slot_b", &view->slots[2]);
    const fake_value_t *record = fake_port_value(fake, "commit");
    size_t len = record != NULL ? intact_len(record) : 0;
    if (len < RECORD_LEN || record->data[6] > 2 || record->data[7] > 2 ||
        RECORD_LEN + (size_t)record->data[15] != len) {
        return;
    }
    view->has_record = true;
    view->current = record->data[6];
    view->trial = record->data[7];
    view->generation = bytes_get_u32(record->data + 8);
}

void medium_put(fake_port_t *fake, const char *key, const uint8_t *data, size_t len)
{
    fake_value_t *value = fake_port_value(fake, key);
    if (value == NULL) {
        value = fake_port_value(fake, "");
    }
    REQUIRE(value != NULL && len <= FAKE_VALUE_MAX, "the medium is full");
    memset(value, 0, sizeof(*value));
    strcpy(value->key, key);
    memcpy(value->data, data, len);
    value->len = len;
}

void medium_put_framed(fake_port_t *fake, const char *key, uint16_t version, const uint8_t *content, size_t len)
{
    uint8_t framed[FAKE_VALUE_MAX];
    const char *magic = magic_of(key);
    if (magic == NULL || len > sizeof(framed) - HEADER_LEN - CRC_LEN) {
        return;
    }
    memcpy(framed, magic, 4);
    bytes_put_u16(framed + 4, version);
    memcpy(framed + HEADER_LEN, content, len);
    bytes_put_u32(framed + HEADER_LEN + len, bytes_crc32(framed, HEADER_LEN + len));
    medium_put(fake, key, framed, HEADER_LEN + len + CRC_LEN);
}

uint64_t medium_fingerprint(fake_port_t *fake, const char *keys)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    char list[sizeof(MEDIUM_KEYS)];
    char *rest = list;
    strcpy(list, keys);
    for (char *key = strsep(&rest, " "); key != NULL; key = strsep(&rest, " ")) {
        const fake_value_t *value = fake_port_value(fake, key);
        for (size_t i = 0; value != NULL && i < value->len; i++) {
            hash = (hash ^ value->data[i]) * UINT64_C(1099511628211);
        }
        hash = (hash ^ (value != NULL ? value->len + 1 : 0)) * UINT64_C(1099511628211);
    }
    return hash;
}
