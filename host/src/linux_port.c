/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "linux_port.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "log.h"

static cert_status_t kv_read(void *ctx, const char *key, uint8_t *buf, size_t cap, size_t *len)
{
    const linux_port_t *self = ctx;
    return storage_read(&self->state->storage, key, buf, cap, len);
}

static cert_status_t kv_write(void *ctx, const char *key, const uint8_t *data, size_t len)
{
    const linux_port_t *self = ctx;
    return storage_write(&self->state->storage, key, data, len);
}

static cert_status_t kv_erase(void *ctx, const char *key)
{
    const linux_port_t *self = ctx;
    return storage_erase(&self->state->storage, key);
}

static cert_boot_ram_t *boot_ram(void *ctx)
{
    const linux_port_t *self = ctx;
    return self->state->boot_ram;
}

static int64_t wall_clock(void *ctx)
{
    (void)ctx;
    return (int64_t)time(NULL);
}

static void fill_random(void *ctx, uint8_t *buf, size_t len)
{
    (void)ctx;
    while (len > 0) {
        ssize_t got = getrandom(buf, len, 0);
        if (got < 0 && errno != EINTR) {
            abort(); /* Linux has had getrandom() since 3.17; without randomness nothing here may go on */
        }
        if (got > 0) {
            buf += got;
            len -= (size_t)got;
        }
    }
}

static void connect_mqtt(void *ctx, const cert_connect_t *request)
{
    linux_port_t *self = ctx;
    bool bootstrap = request->identity == CERT_IDENTITY_BOOTSTRAP;
    uint32_t port = bootstrap ? self->settings->bootstrap_port : self->settings->port;
    mqtt_client_connect(self->mqtt, request, self->settings->broker, (uint16_t)port);
}

static void disconnect_mqtt(void *ctx)
{
    linux_port_t *self = ctx;
    mqtt_client_disconnect(self->mqtt);
}

static void subscribe(void *ctx, const char *topic)
{
    linux_port_t *self = ctx;
    mqtt_client_subscribe(self->mqtt, topic);
}

static cert_status_t publish(void *ctx, const char *topic, const char *payload, size_t len)
{
    linux_port_t *self = ctx;
    return mqtt_client_publish(self->mqtt, topic, payload, len);
}

static void restart(void *ctx)
{
    linux_port_t *self = ctx;
    self->restart_requested = true;
}

static void report(void *ctx, cert_log_level_t level, const char *line)
{
    (void)ctx;
    log_line(level, "cert_mgmt", line);
}

cert_port_t linux_port_make(linux_port_t *linux_port)
{
    return (cert_port_t){
        .ctx = linux_port,
        .kv_read = kv_read,
        .kv_write = kv_write,
        .kv_erase = kv_erase,
        .boot_ram = boot_ram,
        .wall_clock = wall_clock,
        .random = fill_random,
        .connect = connect_mqtt,
        .disconnect = disconnect_mqtt,
        .subscribe = subscribe,
        .publish = publish,
        .restart = restart,
        .log = report,
    };
}
