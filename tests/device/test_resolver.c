/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include <poll.h>

#include "resolver.h"
#include "testing.h"

/** Wait for the answer, for as long as a look-up in a file may take on a busy machine. */
static int wait_for(const resolver_t *resolver, const struct addrinfo **addresses)
{
    struct pollfd answered = {.fd = resolver_fd(resolver), .events = POLLIN};
    assert_int_equal(poll(&answered, 1, 60000), 1);
    return resolver_result(resolver, addresses);
}

static void test_a_numeric_address_is_its_own_answer(void **state)
{
    (void)state;
    const struct addrinfo *addresses = NULL;
    resolver_t *resolver = resolver_start("127.0.0.1");
    assert_non_null(resolver);
    assert_int_equal(wait_for(resolver, &addresses), 0);
    assert_non_null(addresses);
    assert_int_equal(addresses->ai_family, AF_INET);
    assert_null(addresses->ai_next);
    resolver_release(resolver);
}

static void test_a_name_that_cannot_exist_is_an_error(void **state)
{
    (void)state;
    const struct addrinfo *addresses = NULL;
    resolver_t *resolver = resolver_start("not a host name");
    assert_int_not_equal(wait_for(resolver, &addresses), 0);
    assert_null(addresses);
    resolver_release(resolver);
}

static void test_a_look_up_can_be_given_up_before_its_answer(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        resolver_release(resolver_start("127.0.0.1"));
    }
    resolver_release(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_numeric_address_is_its_own_answer),
        cmocka_unit_test(test_a_name_that_cannot_exist_is_an_error),
        cmocka_unit_test(test_a_look_up_can_be_given_up_before_its_answer),
    };
    return RUN_TESTS(tests);
}
