/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The device's way to its broker, chosen in menuconfig.
 */
#pragma once

#include "esp_err.h"

/** @brief Begin to bring the network up; it stays up, or comes back, by itself. Does not wait for it. */
esp_err_t network_start(void);
