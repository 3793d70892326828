/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "boot_guard.h"
#include "testing.h"

static void test_garbage_after_power_on_counts_as_zero(void **state)
{
    (void)state;
    for (int pattern = 0; pattern < 256; pattern++) {
        cert_boot_ram_t ram;
        memset(&ram, pattern, sizeof(ram));
        assert_int_equal(boot_guard_count(&ram), 1);
    }
}

static void test_boots_are_counted_until_cleared(void **state)
{
    (void)state;
    cert_boot_ram_t ram = {0};
    boot_guard_clear(&ram);
    assert_int_equal(boot_guard_count(&ram), 1);
    assert_int_equal(boot_guard_count(&ram), 2);
    assert_int_equal(boot_guard_count(&ram), 3);
    boot_guard_clear(&ram);
    assert_int_equal(boot_guard_count(&ram), 1);
}

static void test_a_flipped_bit_anywhere_starts_anew(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < sizeof(cert_boot_ram_t) * 8; bit++) {
        cert_boot_ram_t ram = {0};
        boot_guard_clear(&ram);
        boot_guard_count(&ram);
        boot_guard_count(&ram);
        ((uint8_t *)&ram)[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(boot_guard_count(&ram), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_garbage_after_power_on_counts_as_zero),
        cmocka_unit_test(test_boots_are_counted_until_cleared),
        cmocka_unit_test(test_a_flipped_bit_anywhere_starts_anew),
    };
    return RUN_TESTS(tests);
}
