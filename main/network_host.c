/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "network.h"

/* The `linux` target uses the sockets of its host. */
esp_err_t network_start(void)
{
    return ESP_OK;
}
