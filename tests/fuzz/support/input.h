/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Takes an input apart. What is missing at the end reads as zero, so every input means something.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** The rest of an input. */
typedef struct {
    const uint8_t *data;
    size_t len;
} input_t;

static inline void take_bytes(input_t *input, void *out, size_t len)
{
    size_t given = len < input->len ? len : input->len;
    memset(out, 0, len);
    if (given > 0) {
        memcpy(out, input->data, given);
    }
    input->data += given;
    input->len -= given;
}

static inline uint8_t take_u8(input_t *input)
{
    uint8_t byte;
    take_bytes(input, &byte, 1);
    return byte;
}

static inline uint16_t take_u16(input_t *input)
{
    uint8_t bytes[2];
    take_bytes(input, bytes, sizeof(bytes));
    return (uint16_t)(bytes[0] | (bytes[1] << 8));
}

static inline uint32_t take_u32(input_t *input)
{
    uint32_t low = take_u16(input);
    return low | ((uint32_t)take_u16(input) << 16);
}

/** A slice of the input itself: a 16-bit length, then as many bytes as there are. */
static inline input_t take_slice(input_t *input)
{
    size_t len = take_u16(input);
    input_t slice = {input->data, len < input->len ? len : input->len};
    input->data += slice.len;
    input->len -= slice.len;
    return slice;
}

/** One of `count` choices. */
static inline unsigned take_choice(input_t *input, unsigned count)
{
    return take_u8(input) % count;
}

/** A string made of a slice; whatever is in it. Free with free(). */
char *take_text(input_t *input);
