/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The ways in which firmware ends without wanting to.
 */
#pragma once

typedef enum {
    CRASH_NONE,
    CRASH_ABORT,              /*!< A panic */
    CRASH_TASK_WATCHDOG,      /*!< A task that leaves no time to the others */
    CRASH_INTERRUPT_WATCHDOG, /*!< Interrupts that stay disabled */
} crash_kind_t;

/** @brief "abort", "task-watchdog" or "interrupt-watchdog"; anything else is CRASH_NONE. */
crash_kind_t crash_from_name(const char *name);

/** @brief End like this. Returns only for CRASH_NONE, and where there is no such watchdog. */
void crash(crash_kind_t kind);
