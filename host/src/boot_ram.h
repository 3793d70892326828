/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The RAM that survives a restart, as a mapped file: it outlives the process (kill -9 too), and a simulated loss
 * of power removes it.
 */
#pragma once

#include "cert_mgmt/cert_port.h"

/**
 * @brief Map the file `name` in the directory `dir`; a new one is all zero.
 * @return NULL with errno set if that fails
 */
cert_boot_ram_t *boot_ram_map(int dir, const char *name);

/** @brief What a loss of power does to it. @return false with errno set if that fails */
bool boot_ram_lose(int dir, const char *name);
