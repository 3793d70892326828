/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Whether there is a network: without an address every attempt to connect fails, and the next one waits longer.
 */
#pragma once

#include <stdbool.h>

#include "esp_err.h"

/**
 * @brief Post EVENT_NETWORK whenever an interface may have got or lost its address.
 * @return ESP_OK; ESP_ERR_INVALID_STATE, after a message: there is no default event loop
 */
esp_err_t network_watch_start(void);

/** @brief Whether an interface to somebody else's network is up and has an address. */
bool network_watch_is_up(void);
