/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "time_floor.h"

#include <string.h>

#include "bytes.h"

#define FLOOR_KEY "time"
#define FLOOR_MAGIC "CMTF"
#define FLOOR_LEN 16
#define STEP_S 3600

int64_t time_floor_load(const cert_port_t *port, int64_t build_time)
{
    uint8_t blob[FLOOR_LEN];
    size_t len = 0;
    if (port->kv_read(port->ctx, FLOOR_KEY, blob, sizeof(blob), &len) != CERT_OK || len != FLOOR_LEN ||
            memcmp(blob, FLOOR_MAGIC, 4) != 0 || bytes_get_u32(blob + 12) != bytes_crc32(blob, 12)) {
        return build_time;
    }
    int64_t stored = (int64_t)bytes_get_u64(blob + 4);
    return stored > build_time ? stored : build_time;
}

cert_status_t time_floor_raise(const cert_port_t *port, int64_t *floor, int64_t seconds)
{
    if (seconds < *floor + STEP_S) {
        return CERT_OK;
    }
    uint8_t blob[FLOOR_LEN];
    *floor = seconds;
    memcpy(blob, FLOOR_MAGIC, 4);
    bytes_put_u64(blob + 4, (uint64_t)seconds);
    bytes_put_u32(blob + 12, bytes_crc32(blob, 12));
    return port->kv_write(port->ctx, FLOOR_KEY, blob, sizeof(blob));
}

int64_t time_floor_now(const cert_port_t *port, int64_t floor, bool *is_known)
{
    int64_t clock = port->wall_clock(port->ctx);
    *is_known = clock > 0 && clock >= floor;
    return *is_known ? clock : floor;
}
