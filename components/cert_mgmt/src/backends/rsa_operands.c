/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rsa_operands.h"

#include <mbedtls/asn1.h>
#include <stdbool.h>
#include <string.h>

/* A big-endian number into words, least significant first; leading zeros do not count. Returns the words used. */
static size_t to_words(const uint8_t *number, size_t len, uint32_t *words)
{
    for (; len > 0 && *number == 0; len--) {
        number++;
    }
    if (len > 4 * CERT_RSA_WORDS_MAX) {
        return 0;
    }
    memset(words, 0, 4 * CERT_RSA_WORDS_MAX);
    for (size_t i = 0; i < len; i++) {
        words[i / 4] |= (uint32_t)number[len - 1 - i] << (8 * (i % 4));
    }
    return (len + 3) / 4;
}

/* a -= b. Returns the borrow. */
static uint32_t subtract(uint32_t *a, const uint32_t *b, size_t words)
{
    uint64_t borrow = 0;
    for (size_t i = 0; i < words; i++) {
        uint64_t difference = (uint64_t)a[i] - b[i] - borrow;
        a[i] = (uint32_t)difference;
        borrow = difference >> 63;
    }
    return (uint32_t)borrow;
}

static bool is_less(const uint32_t *a, const uint32_t *b, size_t words)
{
    for (size_t i = words; i-- > 0;) {
        if (a[i] != b[i]) {
            return a[i] < b[i];
        }
    }
    return false;
}

/* a = 2 a mod m, for a < m */
static void double_modulo(uint32_t *a, const uint32_t *m, size_t words)
{
    uint32_t carry = 0;
    for (size_t i = 0; i < words; i++) {
        uint32_t next = a[i] >> 31;
        a[i] = (a[i] << 1) | carry;
        carry = next;
    }
    if (carry != 0 || !is_less(a, m, words)) {
        (void)subtract(a, m, words);
    }
}

/* With k bits in m: 2^k mod m = 2^k - m, as the highest bit of m is set; doubled k times that is 2^2k mod m. */
static void square_of_r(const uint32_t *m, size_t words, uint32_t *result)
{
    memset(result, 0, 4 * CERT_RSA_WORDS_MAX);
    (void)subtract(result, m, words);
    for (size_t i = 0; i < 32 * words; i++) {
        double_modulo(result, m, words);
    }
}

/* -(m^-1) mod 2^32 for odd m, by Newton's iteration: every step doubles the number of good bits, beginning with 3. */
static uint32_t negative_inverse(uint32_t m)
{
    uint32_t inverse = m;
    for (int good_bits = 3; good_bits < 32; good_bits *= 2) {
        inverse *= 2 - m * inverse;
    }
    return 0 - inverse;
}

cert_status_t rsa_operands_read(const uint8_t *der, size_t len, cert_rsa_operands_t *operands)
{
    unsigned char *p = (unsigned char *)der;
    const unsigned char *end = der + len;
    const uint8_t *numbers[4]; /* version, modulus, public and private exponent */
    size_t lengths[4];
    size_t part_len;
    if (mbedtls_asn1_get_tag(&p, end, &part_len, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) != 0) {
        return CERT_ERR_CORRUPT;
    }
    for (int i = 0; i < 4; i++) {
        if (mbedtls_asn1_get_tag(&p, end, &lengths[i], MBEDTLS_ASN1_INTEGER) != 0) {
            return CERT_ERR_CORRUPT;
        }
        numbers[i] = p;
        p += lengths[i];
    }
    operands->words = to_words(numbers[1], lengths[1], operands->modulus);
    size_t exponent_words = to_words(numbers[3], lengths[3], operands->exponent);
    if (operands->words == 0 || exponent_words == 0 || exponent_words > operands->words ||
            operands->modulus[operands->words - 1] >> 31 == 0 || (operands->modulus[0] & 1) == 0) {
        return CERT_ERR_CORRUPT;
    }
    square_of_r(operands->modulus, operands->words, operands->r_squared);
    operands->m_prime = negative_inverse(operands->modulus[0]);
    return CERT_OK;
}
