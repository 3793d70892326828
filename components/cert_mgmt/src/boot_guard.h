/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The boot guard: ends a trial whose identity keeps the device from staying up.
 *
 * The count lives in RAM that survives a restart, a crash and a watchdog, but not a loss of power; whatever garbage is
 * found there counts as zero. It is a hint on top of the commit record, which stays the truth.
 */
#pragma once

#include "cert_mgmt/cert_port.h"

/** @brief Count this boot and return how many there have been since boot_guard_clear(), this one included. */
uint32_t boot_guard_count(cert_boot_ram_t *ram);

/** @brief Begin again at zero: no trial is running, or a new one begins. */
void boot_guard_clear(cert_boot_ram_t *ram);
