/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The directory that is one device: its store, its boot-surviving RAM, and a lock so that only one process is
 * the device.
 *
 * ```
 * <CERT_AGENT_HOME>/lock      held while the agent runs
 * <CERT_AGENT_HOME>/boot_ram  survives a restart, lost with `powercycle`
 * <CERT_AGENT_HOME>/store/    the flash: one file for each key
 * ```
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "boot_ram.h"
#include "storage.h"

/** @brief An open state directory. */
typedef struct {
    char path[PATH_MAX];
    int dir;
    int lock;
    storage_t storage;
    cert_boot_ram_t *boot_ram;
} state_dir_t;

/**
 * @brief Open and lock the state directory; make it first if need be.
 *
 * Its place: $CERT_AGENT_HOME, else $XDG_STATE_HOME/cert_agent, else $HOME/.local/state/cert_agent.
 * @return false after a message on standard error
 */
bool state_dir_open(state_dir_t *state);

/** @brief Release what state_dir_open() took. */
void state_dir_close(state_dir_t *state);

/** @brief Lose what a loss of power loses. */
cert_status_t state_dir_power_cycle(state_dir_t *state);
