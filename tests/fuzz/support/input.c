/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "input.h"

#include <stdlib.h>

#include "require.h"

char *take_text(input_t *input)
{
    input_t slice = take_slice(input);
    char *text = calloc(1, slice.len + 1);
    REQUIRE(text != NULL, "out of memory");
    if (slice.len > 0) {
        memcpy(text, slice.data, slice.len);
    }
    return text;
}
