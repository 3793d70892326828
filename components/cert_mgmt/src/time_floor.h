/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief What time it surely is at least: a floor that only rises and survives restarts.
 *
 * A device may boot in 1970 or with a wrong clock. The floor is the latest of: when the firmware was built, the time of
 * an enrolment answer, the notBefore of a certificate and the clock whenever the cloud has accepted the device with it.
 * A clock that is behind the floor is wrong and is not used.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cert_mgmt/cert_port.h"

/**
 * @brief Read the stored floor.
 * @param[out] floor  The stored value if it is intact and later, else `build_time`.
 * @return CERT_OK also when nothing is stored or it is corrupt; CERT_ERR_NEWER_FORMAT, CERT_ERR_STORAGE
 */
cert_status_t time_floor_load(const cert_port_t *port, int64_t build_time, int64_t *floor);

/**
 * @brief Raise the floor to `seconds` if that is at least an hour later (which spares the flash), and store it.
 * @param[in,out] floor  The floor in RAM; raised even if storing fails.
 * @return CERT_OK, CERT_ERR_STORAGE, CERT_ERR_STORAGE_FULL
 */
cert_status_t time_floor_raise(const cert_port_t *port, int64_t *floor, int64_t seconds);

/** @brief Forget the stored floor: the way out of one that a wrong clock has raised. CERT_OK, CERT_ERR_STORAGE */
cert_status_t time_floor_forget(const cert_port_t *port);

/**
 * @brief The time to decide by.
 * @param[out] is_known  true: the clock's time. false: the floor, which is only a time surely past.
 */
int64_t time_floor_now(const cert_port_t *port, int64_t floor, bool *is_known);
