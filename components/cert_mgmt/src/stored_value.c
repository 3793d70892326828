/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stored_value.h"

#include <string.h>

#include "bytes.h"

#define MAGIC_LEN 4

cert_status_t stored_value_read(const cert_port_t *port, const char *key, const stored_kind_t *kind, uint8_t *blob,
                                size_t cap, size_t *len)
{
    size_t total = 0;
    cert_status_t status = port->kv_read(port->ctx, key, blob, cap, &total);
    if (status != CERT_OK) {
        /* Losing power makes no value longer than ours are: a newer firmware has written this one. */
        return status == CERT_ERR_TOO_LARGE ? CERT_ERR_NEWER_FORMAT : status;
    }
    if (total < STORED_HEADER_LEN + STORED_CRC_LEN || memcmp(blob, kind->magic, MAGIC_LEN) != 0 ||
            bytes_get_u32(blob + total - STORED_CRC_LEN) != bytes_crc32(blob, total - STORED_CRC_LEN)) {
        return CERT_ERR_CORRUPT;
    }
    if (bytes_get_u16(blob + MAGIC_LEN) > kind->version) {
        return CERT_ERR_NEWER_FORMAT;
    }
    if (total < kind->min_len + STORED_CRC_LEN) {
        return CERT_ERR_CORRUPT;
    }
    *len = total - STORED_CRC_LEN;
    return CERT_OK;
}

cert_status_t stored_value_write(const cert_port_t *port, const char *key, const stored_kind_t *kind, uint8_t *blob,
                                 size_t len)
{
    memcpy(blob, kind->magic, MAGIC_LEN);
    bytes_put_u16(blob + MAGIC_LEN, kind->version);
    bytes_put_u32(blob + len, bytes_crc32(blob, len));
    return port->kv_write(port->ctx, key, blob, len + STORED_CRC_LEN);
}
