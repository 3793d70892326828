/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "civil_time.h"

#include <stdio.h>
#include <string.h>

#define SECONDS_PER_DAY 86400

/* The calendar repeats every 400 years. */
#define DAYS_PER_ERA 146097

/* Days from 1 March of the year -400 to 1970-01-01: counted from there, every date this is about is positive. */
#define DAYS_BEFORE_1970 (719468 + DAYS_PER_ERA)

/*
 * Counting years from March puts the leap day last, so a month's first day is a linear formula.
 */
static uint32_t days_from_civil(uint32_t year, uint32_t month, uint32_t day)
{
    uint32_t y = year + 400 - (month <= 2);
    uint32_t year_of_era = y % 400;
    uint32_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    return y / 400 * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
}

int64_t civil_time_seconds(int year, int month, int day, int hour, int minute, int second)
{
    int32_t days = (int32_t)days_from_civil((uint32_t)year, (uint32_t)month, (uint32_t)day) - DAYS_BEFORE_1970;
    int second_of_day = (hour * 60 + minute) * 60 + second;
    return (int64_t)days * SECONDS_PER_DAY + second_of_day;
}

void civil_time_format(int64_t seconds, char *out)
{
    uint64_t shifted = (uint64_t)(seconds + (int64_t)DAYS_BEFORE_1970 * SECONDS_PER_DAY);
    uint32_t days = (uint32_t)(shifted / SECONDS_PER_DAY);
    unsigned rest = (unsigned)(shifted % SECONDS_PER_DAY);
    uint32_t day_of_era = days % DAYS_PER_ERA;
    uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t shifted_month = (5 * day_of_year + 2) / 153;
    unsigned day = (unsigned)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    unsigned month = (unsigned)((shifted_month + 2) % 12 + 1);
    unsigned year = (unsigned)(days / DAYS_PER_ERA * 400 + year_of_era - 400 + (month <= 2));
    snprintf(out, CIVIL_TIME_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02uZ", year, month, day, rest / 3600, rest / 60 % 60,
             rest % 60);
}

/* Exactly `digits` decimal digits at *text, then move past them. */
static bool take_number(const char **text, int digits, int *value)
{
    *value = 0;
    for (int i = 0; i < digits; i++) {
        char c = (*text)[i];
        if (c < '0' || c > '9') {
            return false;
        }
        *value = *value * 10 + (c - '0');
    }
    *text += digits;
    return true;
}

static bool take_char(const char **text, char expected)
{
    return *(*text)++ == expected;
}

static bool is_date(int year, int month, int day)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (month < 1 || month > 12 || day < 1) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= days[month - 1] + (month == 2 && leap ? 1 : 0);
}

bool civil_time_parse(const char *text, int64_t *seconds)
{
    int year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
    if (!take_number(&text, 4, &year) || !take_char(&text, '-') || !take_number(&text, 2, &month) ||
            !take_char(&text, '-') || !take_number(&text, 2, &day) || !take_char(&text, 'T') ||
            !take_number(&text, 2, &hour) || !take_char(&text, ':') || !take_number(&text, 2, &minute) ||
            !take_char(&text, ':') || !take_number(&text, 2, &second)) {
        return false;
    }
    if (*text == '.') {
        size_t digits = strspn(text + 1, "0123456789");
        if (digits == 0) {
            return false;
        }
        text += 1 + digits;
    }
    if (strcmp(text, "Z") != 0 && strcmp(text, "+00:00") != 0) {
        return false;
    }
    if (!is_date(year, month, day) || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    *seconds = civil_time_seconds(year, month, day, hour, minute, second);
    return true;
}
