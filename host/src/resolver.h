/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Look up a host name without blocking the caller, who polls a file descriptor for the answer.
 *
 * getaddrinfo() may take half a minute when the name servers do not answer; it runs in a thread that nobody waits for.
 */
#pragma once

#include <netdb.h>

/** @brief One look-up. */
typedef struct resolver resolver_t;

/** @brief Begin to look up a host name or numeric address. @return NULL when out of resources */
resolver_t *resolver_start(const char *host);

/** @brief Becomes readable when the answer is there. */
int resolver_fd(const resolver_t *resolver);

/**
 * @brief The answer; call it only when resolver_fd() is readable.
 * @param[out] addresses  Stay valid until resolver_release().
 * @return 0 or an error of getaddrinfo(), for gai_strerror()
 */
int resolver_result(const resolver_t *resolver, const struct addrinfo **addresses);

/** @brief Give up the look-up, answered or not. NULL is allowed. */
void resolver_release(resolver_t *resolver);
