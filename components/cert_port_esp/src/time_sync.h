/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The time of day, which certificates are checked by.
 */
#pragma once

/**
 * @brief Begin to set the clock from a time server, and go on doing so. Needs esp_netif.
 *
 * Does nothing where there is nobody to ask, or where CONFIG_CERT_PORT_SNTP leaves the clock to the application.
 *
 * @param server  Host name or address, "" for none; it has to stay where it is.
 */
void time_sync_start(const char *server);

/** @brief Who has set the clock, as `status` calls it. */
const char *time_sync_source(void);
