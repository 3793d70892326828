/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The frame of every stored value (docs/identity-store.md, "Frame"): a magic, the format version, and a CRC over
 *        all before it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cert_mgmt/cert_port.h"

/** Bytes of magic and format version; what a value holds comes after them. */
#define STORED_HEADER_LEN 6

/** Bytes of the CRC, after what a value holds. */
#define STORED_CRC_LEN 4

/** @brief One kind of value. */
typedef struct {
    char magic[5];
    uint8_t version;  /*!< The newest this firmware reads, and the one it writes */
    size_t min_len;   /*!< Fewest bytes before the CRC */
} stored_kind_t;

/** @brief Does the outcome of a read say that there is no value to use, as against a store that cannot be read now? */
static inline bool stored_value_is_lost(cert_status_t status)
{
    return status == CERT_ERR_NOT_FOUND || status == CERT_ERR_CORRUPT;
}

/**
 * @brief Read a value and check its frame. A version is believed only if the CRC is right, which stays where it is in
 *        every version.
 *
 * @param[out] len    Bytes before the CRC.
 * @return CERT_OK, CERT_ERR_NOT_FOUND, CERT_ERR_CORRUPT, CERT_ERR_NEWER_FORMAT (also when larger than `cap`),
 *         CERT_ERR_STORAGE
 */
cert_status_t stored_value_read(const cert_port_t *port, const char *key, const stored_kind_t *kind, uint8_t *blob,
                                size_t cap, size_t *len);

/**
 * @brief Put the frame around a value and store it.
 * @param blob  `len` bytes, the first STORED_HEADER_LEN of them still free, and room for the CRC.
 * @return CERT_OK, CERT_ERR_STORAGE, CERT_ERR_STORAGE_FULL
 */
cert_status_t stored_value_write(const cert_port_t *port, const char *key, const stored_kind_t *kind, uint8_t *blob,
                                 size_t len);
