/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * The console and the settings: any lines, on top of any stored settings. The input: a byte of circumstances, the
 * stored settings (a slice), then lines.
 */
#include <ctype.h>

#include "cert_mgmt/cert_console.h"
#include "input.h"
#include "pool.h"
#include "require.h"
#include "world.h"

#define LINES_MAX 32

static unsigned s_printed;

static void print(void *ctx, const char *text)
{
    (void)ctx;
    REQUIRE(text != NULL && !pool_leaks_in(text, strlen(text)), "a private key on the console");
    s_printed++;
}

static cert_status_t power_cycle(void *ctx)
{
    (void)ctx;
    return CERT_OK;
}

static bool is_made_of(const char *text, const char *punctuation)
{
    for (; *text != '\0'; text++) {
        if (!isalnum((unsigned char)*text) && strchr(punctuation, *text) == NULL) {
            return false;
        }
    }
    return true;
}

static void check_settings(const cert_settings_t *settings)
{
    REQUIRE(memchr(settings->id, '\0', sizeof(settings->id)) != NULL, "id does not end");
    REQUIRE(memchr(settings->broker, '\0', sizeof(settings->broker)) != NULL, "broker does not end");
    REQUIRE(is_made_of(settings->id, "-_"), "characters of id");
    REQUIRE(is_made_of(settings->broker, ".:-_"), "characters of broker");
    REQUIRE(settings->id[0] == '\0' || strlen(settings->id) >= 3, "a short id");
    REQUIRE(settings->port >= 1 && settings->port <= 65535, "port");
    REQUIRE(settings->bootstrap_port >= 1 && settings->bootstrap_port <= 65535, "bootstrap-port");
    REQUIRE(settings->backoff_min_ms >= 10 && settings->backoff_min_ms <= 3600000, "backoff-min-ms");
    REQUIRE(settings->backoff_max_ms <= 86400000, "backoff-max-ms");
    REQUIRE(settings->backoff_min_ms <= settings->backoff_max_ms, "backoff-min-ms is above backoff-max-ms");
}

/* What is stored is what is in memory, once something has been stored. */
static void check_stored(const cert_settings_t *settings, const cert_port_t *port)
{
    cert_settings_t stored;
    cert_settings_default(&stored);
    REQUIRE(cert_settings_load(&stored, port) == CERT_OK, "settings cannot be read back");
    for (size_t i = 0; cert_settings_key(i) != NULL; i++) {
        char a[CERT_HOST_MAX + 1];
        char b[CERT_HOST_MAX + 1];
        REQUIRE(cert_settings_get(settings, cert_settings_key(i), a, sizeof(a)) == CERT_OK &&
                cert_settings_get(&stored, cert_settings_key(i), b, sizeof(b)) == CERT_OK, "a setting cannot be read");
        REQUIRE(strcmp(a, b) == 0, "a setting was stored as another value");
    }
}

static void run_line(world_t *world, const cert_console_t *console, input_t *input)
{
    const uint8_t *end = memchr(input->data, '\n', input->len);
    size_t len = end != NULL ? (size_t)(end - input->data) : input->len;
    char *line = calloc(1, len + 1);
    REQUIRE(line != NULL, "out of memory");
    take_bytes(input, line, len);
    (void)take_u8(input); /* the line end */
    unsigned changes = world->fake.changes;
    bool is_blank = strspn(line, " \t\r") == strlen(line);
    s_printed = 0;
    cert_console_run(console, line);
    REQUIRE(s_printed > 0 || is_blank, "a command without an answer");
    check_settings(console->settings);
    if (world->fake.changes > changes && strstr(line, "config") != NULL) {
        check_stored(console->settings, &world->port);
    }
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static world_t world;
    input_t input = {data, len};
    if (pool_leaks_in(data, len)) {
        return -1;
    }
    cert_settings_t settings;
    cert_log_level_t level = CERT_LOG_INFO;
    pool_next_key = 0;
    world_init(&world);
    uint8_t circumstances = take_u8(&input);
    input_t stored = take_slice(&input);
    if (stored.len > 0) {
        medium_put(&world.fake, "settings", stored.data, stored.len < FAKE_VALUE_MAX ? stored.len : FAKE_VALUE_MAX);
    }
    cert_settings_default(&settings);
    (void)cert_settings_load(&settings, &world.port);
    check_settings(&settings);
    if ((circumstances & 1) != 0) {
        world_boot(&world);
    }
    world.fake.write_status = (circumstances & 2) != 0 ? CERT_ERR_STORAGE_FULL : CERT_OK;
    const cert_console_t console = {
        .agent = &world.agent,
        .settings = &settings,
        .port = &world.port,
        .log_level = &level,
        .print = print,
        .power_cycle = (circumstances & 4) != 0 ? power_cycle : NULL,
    };
    for (unsigned i = 0; i < LINES_MAX && input.len > 0; i++) {
        run_line(&world, &console, &input);
    }
    return 0;
}
