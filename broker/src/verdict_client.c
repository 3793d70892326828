/* SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0 */

#include "verdict_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cjson/cJSON.h>

/* Longest line in either direction: an escaped client id is at most six times its length. */
#define LINE_SIZE 1024

typedef enum {
    IO_OK,
    IO_CLOSED, /**< the other side hung up, or was never there */
    IO_TIMEOUT,
} io_result_t;

int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool verdict_client_init(verdict_client_t *client, const char *socket_path)
{
    client->fd = -1;
    client->retry_at_ms = 0;
    int len = snprintf(client->path, sizeof(client->path), "%s", socket_path);
    return len > 0 && (size_t)len < sizeof(client->path);
}

void verdict_client_close(verdict_client_t *client)
{
    if (client->fd >= 0) {
        close(client->fd);
        client->fd = -1;
    }
}

static bool connect_socket(verdict_client_t *client)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, client->path, sizeof(address.sun_path));

    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0) {
        return false;
    }
    if (connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        verdict_client_close(client);
        return false;
    }
    return true;
}

static io_result_t wait_for(int fd, short events, int64_t deadline_ms)
{
    struct pollfd pollfd = {.fd = fd, .events = events};

    for (;;) {
        int64_t left = deadline_ms - monotonic_ms();
        int ready = left > 0 ? poll(&pollfd, 1, (int)left) : 0;
        if (ready > 0) {
            return IO_OK;
        }
        if (ready == 0) {
            return IO_TIMEOUT;
        }
        if (errno != EINTR) {
            return IO_CLOSED;
        }
    }
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static io_result_t send_line(int fd, const char *line, int64_t deadline_ms)
{
    size_t len = strlen(line);
    size_t sent = 0;

    while (sent < len) {
        ssize_t count = send(fd, line + sent, len - sent, MSG_NOSIGNAL);
        if (count >= 0) {
            sent += (size_t)count;
            continue;
        }
        io_result_t result = would_block() ? wait_for(fd, POLLOUT, deadline_ms) : IO_CLOSED;
        if (result != IO_OK) {
            return result;
        }
    }
    return IO_OK;
}

static io_result_t receive_line(int fd, char line[LINE_SIZE], int64_t deadline_ms)
{
    size_t len = 0;

    while (len < LINE_SIZE - 1) {
        io_result_t result = wait_for(fd, POLLIN, deadline_ms);
        if (result != IO_OK) {
            return result;
        }
        ssize_t count = recv(fd, line + len, LINE_SIZE - 1 - len, 0);
        if (count == 0 || (count < 0 && !would_block())) {
            return IO_CLOSED;
        }
        len += count > 0 ? (size_t)count : 0;
        line[len] = '\0';
        if (len > 0 && line[len - 1] == '\n') {
            return IO_OK;
        }
    }
    return IO_CLOSED;
}

/* One question and its answer. A connection kept from an earlier question may have died since (the service was
 * restarted): then once more over a fresh one. */
static io_result_t exchange(verdict_client_t *client, const char *request, char response[LINE_SIZE])
{
    int64_t deadline_ms = monotonic_ms() + VERDICT_TIMEOUT_MS;

    for (;;) {
        bool fresh = client->fd < 0;
        if (fresh && !connect_socket(client)) {
            return IO_CLOSED;
        }
        io_result_t result = send_line(client->fd, request, deadline_ms);
        if (result == IO_OK) {
            result = receive_line(client->fd, response, deadline_ms);
        }
        if (result == IO_OK) {
            return IO_OK;
        }
        verdict_client_close(client);
        if (fresh || result == IO_TIMEOUT) {
            return result;
        }
    }
}

static bool build_request(char line[LINE_SIZE], const char *certificate_id, const char *client_id)
{
    bool built = false;
    cJSON *request = cJSON_CreateObject();

    if (cJSON_AddStringToObject(request, "certificate_id", certificate_id) != NULL &&
        cJSON_AddStringToObject(request, "client_id", client_id) != NULL &&
        cJSON_PrintPreallocated(request, line, LINE_SIZE - 1, false)) {
        size_t len = strlen(line);
        line[len] = '\n';
        line[len + 1] = '\0';
        built = true;
    }
    cJSON_Delete(request);
    return built;
}

static verdict_t unavailable(const char *reason)
{
    verdict_t verdict = {.result = VERDICT_UNAVAILABLE, .role = ROLE_NONE};
    snprintf(verdict.reason, sizeof(verdict.reason), "%s", reason);
    return verdict;
}

static verdict_t parse_response(const char *line)
{
    verdict_t verdict = unavailable("the verdict service sent something that is not a verdict");
    cJSON *response = cJSON_Parse(line);
    const cJSON *allow = cJSON_GetObjectItemCaseSensitive(response, "allow");
    const char *role = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(response, "role"));
    const char *reason = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(response, "reason"));

    if (cJSON_IsFalse(allow)) {
        verdict.result = VERDICT_DENY;
        snprintf(verdict.reason, sizeof(verdict.reason), "%s", reason != NULL ? reason : "");
    } else if (cJSON_IsTrue(allow) && role != NULL && role_from_name(role) != ROLE_NONE) {
        verdict.result = VERDICT_ALLOW;
        verdict.role = role_from_name(role);
        verdict.reason[0] = '\0';
    }
    cJSON_Delete(response);
    return verdict;
}

verdict_t verdict_client_ask(verdict_client_t *client, const char *certificate_id, const char *client_id)
{
    char request[LINE_SIZE];
    char response[LINE_SIZE];

    if (monotonic_ms() < client->retry_at_ms) {
        return unavailable("the verdict service did not answer a moment ago");
    }
    if (!build_request(request, certificate_id, client_id)) {
        return unavailable("the question for the verdict service could not be built");
    }
    switch (exchange(client, request, response)) {
        case IO_OK: {
            verdict_t verdict = parse_response(response);
            if (verdict.result == VERDICT_UNAVAILABLE) {
                verdict_client_close(client);
            }
            return verdict;
        }
        case IO_TIMEOUT:
            client->retry_at_ms = monotonic_ms() + VERDICT_BACKOFF_MS;
            return unavailable("the verdict service did not answer in time");
        case IO_CLOSED:
        default:
            return unavailable("the verdict service is not there");
    }
}
