/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The time of day.
 */
#pragma once

#include "esp_err.h"

/**
 * @brief Begin to keep the clock right over the network, if CONFIG_CERT_APP_SNTP_SERVER names a server. Needs
 * esp_netif.
 */
esp_err_t time_sync_start(void);
