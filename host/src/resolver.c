/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "resolver.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct resolver {
    atomic_int owners; /* the caller and the thread; the last one to leave frees it */
    int done[2];       /* pipe; the thread closes the writing end */
    int error;
    struct addrinfo *addresses;
    char *host;
};

static void free_resolver(resolver_t *resolver)
{
    if (resolver->addresses != NULL) {
        freeaddrinfo(resolver->addresses);
    }
    close(resolver->done[0]);
    free(resolver->host);
    free(resolver);
}

static void *run(void *arg)
{
    resolver_t *resolver = arg;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    resolver->error = getaddrinfo(resolver->host, NULL, &hints, &resolver->addresses);
    close(resolver->done[1]);
    resolver_release(resolver);
    return NULL;
}

static bool start_thread(resolver_t *resolver)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, resolver) != 0) {
        return false;
    }
    pthread_detach(thread);
    return true;
}

resolver_t *resolver_start(const char *host)
{
    resolver_t *resolver = calloc(1, sizeof(*resolver));
    if (resolver == NULL) {
        return NULL;
    }
    atomic_init(&resolver->owners, 2);
    resolver->host = strdup(host);
    if (resolver->host == NULL || pipe2(resolver->done, O_CLOEXEC) != 0) {
        free(resolver->host);
        free(resolver);
        return NULL;
    }
    if (!start_thread(resolver)) {
        close(resolver->done[1]);
        free_resolver(resolver);
        return NULL;
    }
    return resolver;
}

int resolver_fd(const resolver_t *resolver)
{
    return resolver->done[0];
}

int resolver_result(const resolver_t *resolver, const struct addrinfo **addresses)
{
    *addresses = resolver->addresses;
    return resolver->error;
}

void resolver_release(resolver_t *resolver)
{
    if (resolver != NULL && atomic_fetch_sub(&resolver->owners, 1) == 1) {
        free_resolver(resolver);
    }
}
