/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cut.h"

#include <stdio.h>
#include <string.h>

void cut_format(const cut_t *cut, char *text)
{
    char prefix[16] = "";
    if (cut->left > LEFT_COMPLETE) {
        snprintf(prefix, sizeof(prefix), "@%u", (unsigned)cut->prefix);
    }
    snprintf(text, CUT_TEXT_MAX, "%u:%s%s%s%s", cut->change, medium_left_name(cut->left), prefix,
             cut->keeps_ram ? "+ram" : "", cut->sent ? "+sent" : "");
}

bool cut_parse(const char *text, cut_t *cut)
{
    char name[16];
    unsigned prefix = 0;
    *cut = (cut_t){0};
    if (sscanf(text, "%u:%15[a-z]@%u", &cut->change, name, &prefix) < 2) {
        return false;
    }
    cut->prefix = prefix;
    cut->keeps_ram = strstr(text, "+ram") != NULL;
    cut->sent = strstr(text, "+sent") != NULL;
    while (cut->left < LEFT_KINDS && strcmp(medium_left_name(cut->left), name) != 0) {
        cut->left++;
    }
    return cut->left < LEFT_KINDS;
}

void cut_carry_out(const cut_t *cut, world_t *world, const medium_change_t *change)
{
    medium_apply(&world->medium, change, cut->left, cut->prefix);
    world_lose_power(world, cut->keeps_ram, cut->sent);
}
