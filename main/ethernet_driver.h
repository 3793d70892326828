/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The Ethernet card, chosen in menuconfig: one source file for each kind.
 */
#pragma once

#include "esp_eth_driver.h"

/** @brief Install the driver of the card; logs what is wrong. */
esp_err_t ethernet_driver_install(esp_eth_handle_t *driver);
