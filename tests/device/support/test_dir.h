/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief A directory for one test, removed with all that is in it.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "testing.h"

/** cmocka set-up: *state becomes the path of a new, empty directory. */
static inline int test_dir_setup(void **state)
{
    const char *base = getenv("TMPDIR");
    char *path = NULL;
    assert_true(asprintf(&path, "%s/cert_agent_test.XXXXXX", base != NULL ? base : "/tmp") > 0);
    assert_non_null(mkdtemp(path));
    *state = path;
    return 0;
}

/** cmocka tear-down. */
static inline int test_dir_teardown(void **state)
{
    char *command = NULL;
    assert_true(asprintf(&command, "rm -rf '%s'", (char *)*state) > 0);
    assert_int_equal(system(command), 0);
    free(command);
    free(*state);
    return 0;
}
