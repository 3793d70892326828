/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "identity_store.h"

#include <mbedtls/platform_util.h>
#include <stdbool.h>
#include <string.h>

#include "bytes.h"
#include "stored_value.h"

#define RECORD_KEY "commit"
#define RECORD_HEADER_LEN 16
#define RECORD_MAX (RECORD_HEADER_LEN + CERT_REQUEST_ID_MAX)

/* Version 1 cannot name a rolled-back trial. It is written while there is none, so that older firmware can go on. */
static const stored_kind_t s_record_v1 = { .magic = "CMCR", .version = 1, .min_len = RECORD_HEADER_LEN };
static const stored_kind_t s_record = { .magic = "CMCR", .version = 2, .min_len = RECORD_HEADER_LEN };

#define SLOT_HEADER_LEN 20

static const stored_kind_t s_slot = { .magic = "CMID", .version = 1, .min_len = SLOT_HEADER_LEN };

_Static_assert(SLOT_HEADER_LEN + CERT_REQUEST_ID_MAX + CERT_KEY_MAX + CERT_CHAIN_PEM_MAX + STORED_CRC_LEN <=
                   CERT_SLOT_BLOB_MAX,
               "a slot has to fit its buffer");
_Static_assert(CERT_CHAIN_PEM_MAX <= UINT16_MAX, "lengths are stored in 16 bits");

static const char *slot_key(cert_slot_t slot)
{
    return slot == CERT_SLOT_A ? "slot_a" : "slot_b";
}

const char *store_slot_name(cert_slot_t slot)
{
    return slot == CERT_SLOT_A ? "A" : slot == CERT_SLOT_B ? "B" : "none";
}

static bool in_use(const cert_commit_record_t *record, cert_slot_t slot)
{
    return record->current == slot || record->trial == slot;
}

cert_slot_t store_free_slot(const cert_commit_record_t *record)
{
    if (!in_use(record, CERT_SLOT_A)) {
        return CERT_SLOT_A;
    }
    return in_use(record, CERT_SLOT_B) ? CERT_SLOT_NONE : CERT_SLOT_B;
}

void store_wipe_identity(cert_identity_t *identity)
{
    mbedtls_platform_zeroize(identity, sizeof(*identity));
}

static size_t encode_slot(const cert_identity_t *identity, uint8_t *blob)
{
    size_t id_len = strlen(identity->request_id);
    blob[6] = (uint8_t)identity->origin;
    blob[7] = (uint8_t)identity->key_kind;
    bytes_put_u32(blob + 8, identity->generation);
    bytes_put_u16(blob + 12, (uint16_t)id_len);
    bytes_put_u16(blob + 14, (uint16_t)identity->key_len);
    bytes_put_u16(blob + 16, (uint16_t)identity->chain_len);
    bytes_put_u16(blob + 18, 0);
    uint8_t *out = blob + SLOT_HEADER_LEN;
    memcpy(out, identity->request_id, id_len);
    out += id_len;
    memcpy(out, identity->key, identity->key_len);
    out += identity->key_len;
    memcpy(out, identity->chain_pem, identity->chain_len);
    out += identity->chain_len;
    return (size_t)(out - blob);
}

static cert_status_t decode_slot(const uint8_t *blob, size_t len, cert_identity_t *identity)
{
    size_t id_len = bytes_get_u16(blob + 12);
    size_t key_len = bytes_get_u16(blob + 14);
    size_t chain_len = bytes_get_u16(blob + 16);
    if (id_len > CERT_REQUEST_ID_MAX || key_len > CERT_KEY_MAX || chain_len > CERT_CHAIN_PEM_MAX ||
            SLOT_HEADER_LEN + id_len + key_len + chain_len != len ||
            (blob[6] != CERT_ORIGIN_ENROLLMENT && blob[6] != CERT_ORIGIN_ROTATION)) {
        return CERT_ERR_CORRUPT;
    }
    const uint8_t *in = blob + SLOT_HEADER_LEN;
    identity->origin = (cert_origin_t)blob[6];
    identity->key_kind = (cert_key_kind_t)blob[7];
    identity->generation = bytes_get_u32(blob + 8);
    memcpy(identity->request_id, in, id_len);
    identity->key_len = key_len;
    memcpy(identity->key, in + id_len, key_len);
    identity->chain_len = chain_len;
    memcpy(identity->chain_pem, in + id_len + key_len, chain_len);
    return CERT_OK;
}

cert_status_t store_read_slot(const cert_port_t *port, cert_slot_t slot, uint8_t *blob, cert_identity_t *identity)
{
    size_t len = 0;
    store_wipe_identity(identity);
    cert_status_t status = stored_value_read(port, slot_key(slot), &s_slot, blob, CERT_SLOT_BLOB_MAX, &len);
    if (status == CERT_OK) {
        status = decode_slot(blob, len, identity);
    }
    mbedtls_platform_zeroize(blob, CERT_SLOT_BLOB_MAX);
    return status;
}

cert_status_t store_write_slot(const cert_port_t *port, cert_slot_t slot, uint8_t *blob,
                               const cert_identity_t *identity)
{
    size_t len = encode_slot(identity, blob);
    cert_status_t status = stored_value_write(port, slot_key(slot), &s_slot, blob, len);
    mbedtls_platform_zeroize(blob, CERT_SLOT_BLOB_MAX);
    return status;
}

cert_status_t store_erase_slot(const cert_port_t *port, cert_slot_t slot)
{
    return port->kv_erase(port->ctx, slot_key(slot));
}

cert_status_t store_write_record(const cert_port_t *port, const cert_commit_record_t *record)
{
    uint8_t blob[RECORD_MAX + STORED_CRC_LEN] = { 0 };
    size_t id_len = strlen(record->rolled_back_id);
    blob[6] = (uint8_t)record->current;
    blob[7] = (uint8_t)record->trial;
    bytes_put_u32(blob + 8, record->generation);
    blob[12] = record->trial_refusals;
    blob[13] = record->trial_boots;
    blob[14] = (uint8_t)record->rolled_back_code;
    blob[15] = (uint8_t)id_len;
    memcpy(blob + RECORD_HEADER_LEN, record->rolled_back_id, id_len);
    const stored_kind_t *kind = id_len > 0 ? &s_record : &s_record_v1;
    return stored_value_write(port, RECORD_KEY, kind, blob, RECORD_HEADER_LEN + id_len);
}

static cert_status_t read_record(const cert_port_t *port, cert_commit_record_t *record)
{
    uint8_t blob[RECORD_MAX + STORED_CRC_LEN];
    size_t len = 0;
    cert_status_t status = stored_value_read(port, RECORD_KEY, &s_record, blob, sizeof(blob), &len);
    if (status != CERT_OK) {
        return status;
    }
    bool distinct = blob[6] == CERT_SLOT_NONE || blob[6] != blob[7];
    if (blob[6] > CERT_SLOT_B || blob[7] > CERT_SLOT_B || !distinct || blob[15] != len - RECORD_HEADER_LEN) {
        return CERT_ERR_CORRUPT;
    }
    record->current = (cert_slot_t)blob[6];
    record->trial = (cert_slot_t)blob[7];
    record->generation = bytes_get_u32(blob + 8);
    record->trial_refusals = blob[12];
    record->trial_boots = blob[13];
    record->rolled_back_code = (cert_status_t)blob[14];
    memcpy(record->rolled_back_id, blob + RECORD_HEADER_LEN, blob[15]);
    return CERT_OK;
}

/** @brief What lies in a slot, without its secrets. */
typedef struct {
    bool is_corrupt;
    bool is_rolled_back;
    uint32_t generation; /* of an identity that has its certificate; else 0 */
} slot_content_t;

/* Look into a slot. An error only when the store cannot be read, or must not be touched. */
static cert_status_t look_into(const cert_port_t *port, cert_slot_t slot, const cert_commit_record_t *record,
                               uint8_t *blob, cert_identity_t *scratch, slot_content_t *content)
{
    cert_status_t status = store_read_slot(port, slot, blob, scratch);
    content->is_corrupt = status == CERT_ERR_CORRUPT;
    content->generation = scratch->chain_len > 0 ? scratch->generation : 0;
    content->is_rolled_back =
        record->rolled_back_id[0] != '\0' && strcmp(scratch->request_id, record->rolled_back_id) == 0;
    store_wipe_identity(scratch);
    return stored_value_is_lost(status) ? CERT_OK : status;
}

/*
 * Without a record: one identity is the current one; of two the older was current, as it is freed only when the newer
 * is proven. (A device's very first identity whose record was never written ends up here too: it is used, and proven by
 * connecting.)
 */
static void rebuild_record(uint32_t generation_a, uint32_t generation_b, cert_commit_record_t *record)
{
    *record = (cert_commit_record_t) { 0 };
    if (generation_a == 0 && generation_b == 0) {
        return;
    }
    bool a_is_current = generation_b == 0 || (generation_a != 0 && generation_a < generation_b);
    record->current = a_is_current ? CERT_SLOT_A : CERT_SLOT_B;
    record->generation = a_is_current ? generation_a : generation_b;
    if (generation_a != 0 && generation_b != 0) {
        record->trial = a_is_current ? CERT_SLOT_B : CERT_SLOT_A;
    }
}

/* Finish with a slot that is not in use what a loss of power interrupted. */
static cert_status_t tidy(const cert_port_t *port, cert_slot_t left, const slot_content_t *content,
                          cert_commit_record_t *record, const char **note)
{
    if (content->is_corrupt) {
        *note = "a slot not in use was corrupt and has been erased";
        return store_erase_slot(port, left);
    }
    if (content->generation == 0) {
        return CERT_OK;
    }
    if (content->generation <= record->generation || record->trial != CERT_SLOT_NONE || content->is_rolled_back) {
        *note = "an identity that had been given up already has been erased";
        return store_erase_slot(port, left);
    }
    *note = "a staging that had been interrupted has been completed";
    record->trial = left;
    record->trial_refusals = 0;
    record->trial_boots = 0;
    return store_write_record(port, record);
}

cert_status_t store_open(const cert_port_t *port, uint8_t *blob, cert_identity_t *scratch, cert_commit_record_t *record,
                         const char **note)
{
    slot_content_t slots[CERT_SLOT_B + 1] = { 0 };
    *record = (cert_commit_record_t) { 0 };
    *note = NULL;
    cert_status_t found = read_record(port, record);
    if (found != CERT_OK && !stored_value_is_lost(found)) {
        return found;
    }
    for (cert_slot_t slot = CERT_SLOT_A; slot <= CERT_SLOT_B; slot++) {
        cert_status_t status = look_into(port, slot, record, blob, scratch, &slots[slot]);
        if (status != CERT_OK) {
            return status;
        }
    }
    cert_status_t status = CERT_OK;
    if (found != CERT_OK) {
        rebuild_record(slots[CERT_SLOT_A].generation, slots[CERT_SLOT_B].generation, record);
    }
    if (found == CERT_ERR_CORRUPT || (found == CERT_ERR_NOT_FOUND && record->current != CERT_SLOT_NONE)) {
        *note = "the commit record was lost or corrupt and has been rebuilt from the slots";
        status = store_write_record(port, record);
    }
    for (cert_slot_t slot = CERT_SLOT_A; status == CERT_OK && slot <= CERT_SLOT_B; slot++) {
        if (!in_use(record, slot)) {
            status = tidy(port, slot, &slots[slot], record, note);
        }
    }
    if (status != CERT_OK) {
        *note = "a repair could not be written, the next start tries again";
    }
    return CERT_OK;
}
