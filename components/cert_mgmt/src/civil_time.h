/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Calendar time as seconds since 1970-01-01 UTC and as text (RFC 3339).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Room for "2026-11-23T15:00:00Z" and the NUL. */
#define CIVIL_TIME_TEXT_MAX 32

/** Seconds since 1970-01-01 UTC of a Gregorian date, years 0 to 9999, and time; the fields must be in range. */
int64_t civil_time_seconds(int year, int month, int day, int hour, int minute, int second);

/** Write `seconds`, years 0 to 9999, as RFC 3339 UTC with whole seconds. `out` holds CIVIL_TIME_TEXT_MAX bytes. */
void civil_time_format(int64_t seconds, char *out);

/** Read an RFC 3339 time in UTC (ends in Z or +00:00; a fraction is dropped). Returns false if it is not one. */
bool civil_time_parse(const char *text, int64_t *seconds);
