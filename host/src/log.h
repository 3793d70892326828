/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Log lines on standard output, in the form ESP-IDF prints them: `I (1234) tag: text`.
 */
#pragma once

#include "cert_mgmt/cert_port.h"

/** @brief Lines less severe than this are dropped. The console's `log` command changes it. */
extern cert_log_level_t log_level;

/** @brief Milliseconds of a clock that never goes back. */
uint64_t log_clock_ms(void);

/** @brief Begin: standard output becomes line-buffered, time stamps count from now. */
void log_init(void);

/** @brief Print one line. */
void log_line(cert_log_level_t level, const char *tag, const char *text);

/** @brief Print one line of the agent program itself (tag "cert_agent"). Never pass a secret. */
__attribute__((format(printf, 2, 3))) void log_printf(cert_log_level_t level, const char *format, ...);
