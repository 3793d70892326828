/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Reads command lines and posts them to the agent's task, which runs them.
 */
#pragma once

#include <stdbool.h>

#include "esp_err.h"

/** @brief Begin to read: the console UART or USB on a chip, standard input on the `linux` target. */
esp_err_t console_start(void);

/**
 * @brief Hand a line to the agent's task.
 * @param line  On the heap; belongs to the task from now on, whatever happens.
 * @return false if the task is too busy to take it
 */
bool console_post(char *line);
