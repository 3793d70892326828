/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The line console, the same on every platform: the port reads lines, this runs them.
 *
 * `help`, `status`, `csr [ec|rsa]`, `keys`, `efuse-plan`, `config get [KEY]`, `config set KEY VALUE`, `restart`,
 * `powercycle`, `factory-reset`, `log [error|warn|info|debug]`. Every answer is one line, except `help`, `keys`,
 * `efuse-plan`, `config get` without a key, and the PEM of `csr`. An answer that refuses begins with "error: ".
 */
#pragma once

#include <stdbool.h>

#include "cert_mgmt/cert_agent.h"
#include "cert_mgmt/cert_settings.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Longest command line, without the terminating NUL. */
#define CERT_CONSOLE_LINE_MAX 512

/** @brief What a console works on. */
typedef struct {
    cert_agent_t *agent; /*!< Initialised, or all zero while the device is not configured */
    cert_settings_t *settings;
    const cert_port_t *port;
    cert_log_level_t *log_level; /*!< Changed by `log` */

    void *ctx;                                      /*!< Handed to the functions below */
    void (*print)(void *ctx, const char *text);     /*!< Print one line; adds the line end */
    cert_status_t (*power_cycle)(
        void *ctx); /*!< Restart and lose the boot-surviving RAM; NULL where that takes a hand on the plug */
    /** Who has set the clock, as `status` calls it; NULL: "clock" */
    const char *clock_source;
    /** Print, line by line, what is in the chip's eFuse key blocks, or what would be burned; NULL without eFuses */
    void (*efuses)(void *ctx, bool plan);
} cert_console_t;

/**
 * @brief Run one command line.
 * @param line  NUL-terminated, without line end; an empty line does nothing.
 */
void cert_console_run(const cert_console_t *console, const char *line);

#ifdef __cplusplus
}
#endif
