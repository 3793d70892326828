/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The identity store: two slots and the commit record, each one value of the port's key-value store.
 *
 * The bytes are specified in docs/identity-store.md. Every value checks itself, and replacing one value is atomic; what
 * spans two values is made safe by the order of writes (docs/identity-store.md, "Commit record") and finished by
 * store_open().
 */
#pragma once

#include <stdint.h>

#include "cert_mgmt/cert_identity.h"
#include "cert_mgmt/cert_port.h"

/** @brief The slot that is neither current nor on trial; CERT_SLOT_NONE while both are taken. */
cert_slot_t store_free_slot(const cert_commit_record_t *record);

/** @brief "A", "B" or "none". */
const char *store_slot_name(cert_slot_t slot);

/**
 * @brief Read the commit record and finish what a loss of power interrupted: a staging whose record was not switched
 * any more is completed, an identity already replaced is erased, a lost or corrupt record is rebuilt from the slots.
 * What of it cannot be written is good in RAM for this start, and the next one tries again.
 *
 * @param blob          Scratch of CERT_SLOT_BLOB_MAX bytes; wiped.
 * @param scratch       Scratch identity; wiped.
 * @param[out] record   Who the device is; all zero for a new device.
 * @param[out] note     A string constant saying what was repaired, or that it could not be written; NULL if nothing
 *                      was.
 * @return CERT_OK; CERT_ERR_STORAGE (it cannot be read), CERT_ERR_NEWER_FORMAT: nothing was written
 */
cert_status_t store_open(const cert_port_t *port, uint8_t *blob, cert_identity_t *scratch, cert_commit_record_t *record,
                         const char **note);

/** @brief Switch the commit record: the one write that changes who the device is. CERT_OK or the port's error. */
cert_status_t store_write_record(const cert_port_t *port, const cert_commit_record_t *record);

/**
 * @return CERT_OK, CERT_ERR_NOT_FOUND, CERT_ERR_CORRUPT, CERT_ERR_NEWER_FORMAT, CERT_ERR_STORAGE; `identity` is empty
 * unless CERT_OK
 */
cert_status_t store_read_slot(const cert_port_t *port, cert_slot_t slot, uint8_t *blob, cert_identity_t *identity);

/** @return CERT_OK, CERT_ERR_STORAGE_FULL, CERT_ERR_STORAGE: what the slot then holds, see cert_port_t::kv_write */
cert_status_t store_write_slot(const cert_port_t *port, cert_slot_t slot, uint8_t *blob,
                               const cert_identity_t *identity);

/** @return CERT_OK, CERT_ERR_STORAGE */
cert_status_t store_erase_slot(const cert_port_t *port, cert_slot_t slot);

/** @brief Empty an identity in RAM and wipe its key. */
void store_wipe_identity(cert_identity_t *identity);
