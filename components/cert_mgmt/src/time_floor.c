/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "time_floor.h"

#include "bytes.h"
#include "stored_value.h"

#define FLOOR_KEY "time"
#define FLOOR_LEN 16
#define FLOOR_AT 8
#define STEP_S 3600

static const stored_kind_t s_floor = { .magic = "CMTF", .version = 1, .min_len = FLOOR_LEN };

cert_status_t time_floor_load(const cert_port_t *port, int64_t build_time, int64_t *floor)
{
    uint8_t blob[FLOOR_LEN + STORED_CRC_LEN];
    size_t len = 0;
    *floor = build_time;
    cert_status_t status = stored_value_read(port, FLOOR_KEY, &s_floor, blob, sizeof(blob), &len);
    if (stored_value_is_lost(status)) {
        return CERT_OK;
    }
    if (status == CERT_OK) {
        int64_t stored = (int64_t)bytes_get_u64(blob + FLOOR_AT);
        *floor = stored > build_time ? stored : build_time;
    }
    return status;
}

cert_status_t time_floor_raise(const cert_port_t *port, int64_t *floor, int64_t seconds)
{
    if (seconds < *floor + STEP_S) {
        return CERT_OK;
    }
    uint8_t blob[FLOOR_LEN + STORED_CRC_LEN] = { 0 };
    *floor = seconds;
    bytes_put_u64(blob + FLOOR_AT, (uint64_t)seconds);
    return stored_value_write(port, FLOOR_KEY, &s_floor, blob, FLOOR_LEN);
}

cert_status_t time_floor_forget(const cert_port_t *port)
{
    return port->kv_erase(port->ctx, FLOOR_KEY);
}

int64_t time_floor_now(const cert_port_t *port, int64_t floor, bool *is_known)
{
    int64_t clock = port->wall_clock(port->ctx);
    *is_known = clock > 0 && clock >= floor;
    return *is_known ? clock : floor;
}
