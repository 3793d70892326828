/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * The certificate agent as a Linux program: one process is one device. Takes no arguments; environment:
 *   CERT_AGENT_HOME           state directory (state_dir.h)
 *   CERT_AGENT_BOOTSTRAP_DIR  bootstrap.crt, bootstrap.key, trust_anchors.pem (default: certs)
 * Console commands come in on standard input, one a line; `help` lists them.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bootstrap_files.h"
#include "cert_mgmt/cert_agent.h"
#include "cert_mgmt/cert_console.h"
#include "linux_port.h"
#include "line_reader.h"
#include "log.h"
#include "mqtt_client.h"
#include "state_dir.h"
#include "tls_client.h"

/** The whole device. */
typedef struct {
    state_dir_t state;
    bootstrap_files_t bootstrap;
    cert_settings_t settings;      /* as the console sees them */
    cert_settings_t boot_settings; /* as they were at boot: a change takes effect at the next restart */
    mqtt_client_t *mqtt;
    linux_port_t linux_port;
    cert_port_t port;
    cert_agent_config_t config;
    cert_agent_t agent;
    cert_console_t console;
    line_reader_t input;
    bool booted;
    uint64_t boot_again_at_ms;     /* 0: booted, or no use */
    uint32_t boot_delay_ms;
} device_t;

static volatile sig_atomic_t s_stop;

static void on_signal(int number)
{
    (void)number;
    s_stop = 1;
}

/* ---------------------------------------------------------------- what happens, told to the agent */

static void on_connected(void *ctx, uint32_t connection)
{
    device_t *device = ctx;
    cert_agent_connected(&device->agent, connection, log_clock_ms());
}

static void on_disconnected(void *ctx, uint32_t connection, cert_failure_t why, const char *detail)
{
    device_t *device = ctx;
    cert_agent_disconnected(&device->agent, connection, why, detail, log_clock_ms());
}

static void on_delivered(void *ctx, uint32_t connection)
{
    device_t *device = ctx;
    cert_agent_delivered(&device->agent, connection);
}

static void on_message(void *ctx, uint32_t connection, const char *topic, uint8_t *payload, size_t len)
{
    device_t *device = ctx;
    cert_agent_message(&device->agent, connection, topic, payload, len, log_clock_ms());
}

static void print_line(void *ctx, const char *text)
{
    (void)ctx;
    puts(text);
}

static cert_status_t power_cycle(void *ctx)
{
    device_t *device = ctx;
    cert_status_t status = state_dir_power_cycle(&device->state);
    device->linux_port.restart_requested = status == CERT_OK;
    return status;
}

/* ---------------------------------------------------------------- start */

/** A descriptor 0, 1 or 2 that is closed would be given to the next file opened. */
static bool ensure_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) {
            return false;
        }
    }
    return true;
}

static void set_up_process(void)
{
    /* glibc overwrites memory that is freed: libmosquitto, too, has held messages with private keys in it. */
    mallopt(M_PERTURB, 0xA5);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static bool load_settings(device_t *device)
{
    cert_settings_default(&device->settings);
    cert_status_t status = cert_settings_load(&device->settings, &device->port);
    if (status != CERT_OK) {
        fprintf(stderr, "cert_agent: cannot use the settings in %s/store: %s; nothing was changed\n",
                device->state.path, status == CERT_ERR_CORRUPT ? "corrupt" : "not readable");
        return false;
    }
    if (device->settings.id[0] != '\0') {
        return true;
    }
    uint8_t random[6];
    char id[sizeof("linux-") + 2 * sizeof(random)];
    device->port.random(device->port.ctx, random, sizeof(random));
    snprintf(id, sizeof(id), "linux-%02x%02x%02x%02x%02x%02x", random[0], random[1], random[2], random[3], random[4],
             random[5]);
    status = cert_settings_set(&device->settings, &device->port, "id", id);
    if (status != CERT_OK) {
        fprintf(stderr, "cert_agent: cannot store the device id in %s/store: %s\n", device->state.path,
                cert_status_code(status));
        return false;
    }
    return true;
}

/** Find out now, and not at the first connection, that the bootstrap files do not fit together. */
static bool check_bootstrap(const device_t *device)
{
    const cert_connect_t request = {
        .chain_pem = device->bootstrap.chain,
        .key = (const uint8_t *)device->bootstrap.key,
        .key_len = device->bootstrap.key_len,
        .anchors_pem = device->bootstrap.anchors,
    };
    tls_client_t tls;
    const char *why;
    if (!tls_client_init(&tls, &request, "localhost", &why)) {
        fprintf(stderr, "cert_agent: the bootstrap files cannot be used: %s\n", why);
        return false;
    }
    tls_client_free(&tls);
    return true;
}

/** The store cannot be read now: that may pass, so try again later, ever less often. */
static void boot_later(device_t *device, cert_status_t why)
{
    uint32_t max = device->boot_settings.backoff_max_ms;
    uint32_t last = device->boot_delay_ms;
    device->boot_delay_ms = last == 0 ? device->boot_settings.backoff_min_ms : last > max / 2 ? max : 2 * last;
    device->boot_again_at_ms = log_clock_ms() + device->boot_delay_ms;
    log_printf(CERT_LOG_ERROR, "cannot read the identity in %s/store: %s; next try in %u ms", device->state.path,
               cert_status_code(why), (unsigned)device->boot_delay_ms);
}

/** Boot the agent, or see to it that it is tried again. Returns false when that is of no use. */
static bool boot_agent(device_t *device)
{
    device->boot_again_at_ms = 0;
    cert_status_t status = cert_agent_boot(&device->agent, log_clock_ms());
    device->booted = status == CERT_OK;
    if (status == CERT_ERR_NEWER_FORMAT) {
        fprintf(stderr,
                "cert_agent: cannot use the identity in %s/store: written by a newer version of this program, run "
                "that; nothing was changed\n",
                device->state.path);
        return false;
    }
    if (!device->booted) {
        boot_later(device, status);
    }
    return true;
}

static bool boot(device_t *device)
{
    device->config = (cert_agent_config_t){
        .device_id = device->boot_settings.id,
        .bootstrap_chain_pem = device->bootstrap.chain,
        .bootstrap_key = (const uint8_t *)device->bootstrap.key,
        .bootstrap_key_len = device->bootstrap.key_len,
        .anchors_pem = device->bootstrap.anchors,
        .key_type = CERT_KEY_EC_P256,
        .build_time = CERT_AGENT_BUILD_TIME,
        .backoff_min_ms = device->boot_settings.backoff_min_ms,
        .backoff_max_ms = device->boot_settings.backoff_max_ms,
        .hardware = "linux",
        .firmware = CERT_AGENT_VERSION,
    };
    cert_status_t status = cert_agent_init(&device->agent, &device->config, &device->port);
    if (status != CERT_OK) {
        fprintf(stderr, "cert_agent: cannot start as device \"%s\": %s\n", device->config.device_id,
                cert_status_code(status));
        return false;
    }
    log_printf(CERT_LOG_INFO, "version " CERT_AGENT_VERSION ", device %s, state in %s", device->config.device_id,
               device->state.path);
    if (device->boot_settings.broker[0] == '\0') {
        log_printf(CERT_LOG_WARN, "no broker is set: `config set broker HOST`, then `restart`");
        return true;
    }
    return boot_agent(device);
}

/** Wire everything up. The state directory is open. Returns false after a message on standard error. */
static bool start(device_t *device)
{
    device->linux_port = (linux_port_t){.state = &device->state, .settings = &device->boot_settings};
    device->port = linux_port_make(&device->linux_port);
    if (!load_settings(device) || !bootstrap_files_load(&device->bootstrap) || !check_bootstrap(device)) {
        return false;
    }
    device->boot_settings = device->settings;
    const mqtt_events_t events = {
        .ctx = device, .connected = on_connected, .disconnected = on_disconnected, .delivered = on_delivered,
        .message = on_message};
    device->mqtt = mqtt_client_new(&events);
    if (device->mqtt == NULL) {
        fprintf(stderr, "cert_agent: out of memory\n");
        return false;
    }
    device->linux_port.mqtt = device->mqtt;
    device->console = (cert_console_t){
        .agent = &device->agent,
        .settings = &device->settings,
        .port = &device->port,
        .log_level = &log_level,
        .ctx = device,
        .print = print_line,
        .power_cycle = power_cycle,
    };
    device->input = (line_reader_t){.fd = STDIN_FILENO};
    return boot(device);
}

/* ---------------------------------------------------------------- run */

static void read_console(device_t *device)
{
    switch (line_reader_read(&device->input)) {
    case LINE_READY:
        cert_console_run(&device->console, device->input.text);
        break;
    case LINE_TOO_LONG:
        print_line(NULL, "error: the line is too long");
        break;
    case LINE_CLOSED:
    case LINE_NONE:
        break;
    }
}

/** Wait for input, the network or a deadline. Signals that end the program are let in only here. */
static void wait_for_events(struct pollfd *fds, nfds_t count, uint32_t timeout_ms, const sigset_t *open_mask)
{
    const struct timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = (long)(timeout_ms % 1000) * 1000000L};
    if (ppoll(fds, count, &timeout, open_mask) < 0) {
        for (nfds_t i = 0; i < count; i++) {
            fds[i].revents = 0;
        }
    }
}

/** Let time pass for the agent. Returns milliseconds after which to call again. */
static uint32_t tick(device_t *device)
{
    uint64_t now = log_clock_ms();
    if (device->boot_again_at_ms != 0 && now >= device->boot_again_at_ms) {
        (void)boot_agent(device);
    }
    if (device->booted) {
        return cert_agent_tick(&device->agent, now);
    }
    return device->boot_again_at_ms > now ? (uint32_t)(device->boot_again_at_ms - now) : UINT32_MAX;
}

/** Run until a signal or the core ends it. */
static void run(device_t *device)
{
    sigset_t ending;
    sigset_t open_mask;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigprocmask(SIG_BLOCK, &ending, &open_mask);
    while (!s_stop && !device->linux_port.restart_requested) {
        uint32_t agent_ms = tick(device);
        struct pollfd fds[2] = {{.fd = device->input.fd, .events = POLLIN}};
        uint32_t mqtt_ms = mqtt_client_prepare(device->mqtt, &fds[1], log_clock_ms());
        uint32_t timeout_ms = agent_ms < mqtt_ms ? agent_ms : mqtt_ms;
        if (device->linux_port.restart_requested) {
            timeout_ms = 0;
        }
        wait_for_events(fds, 2, timeout_ms, &open_mask);
        if (fds[0].revents != 0) {
            read_console(device);
        }
        mqtt_client_service(device->mqtt, &fds[1], log_clock_ms());
    }
    sigprocmask(SIG_SETMASK, &open_mask, NULL);
}

static void stop(device_t *device)
{
    if (device->mqtt != NULL) {
        mqtt_client_free(device->mqtt);
    }
    bootstrap_files_free(&device->bootstrap);
    state_dir_close(&device->state);
    explicit_bzero(&device->agent, sizeof(device->agent));
}

/** Begin again as a new process image: what is in RAM is lost, the console and the environment stay. */
static int restart(char **argv)
{
    fflush(stdout);
    execv("/proc/self/exe", argv);
    fprintf(stderr, "cert_agent: cannot restart: %s\n", strerror(errno));
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static device_t device;
    if (!ensure_standard_streams()) {
        return EXIT_FAILURE;
    }
    if (argc > 1) {
        fprintf(stderr, "cert_agent: takes no arguments; it is set up by the environment (CERT_AGENT_HOME, "
                        "CERT_AGENT_BOOTSTRAP_DIR) and by commands on standard input, try `help`\n");
        return 2;
    }
    set_up_process();
    log_init();
    if (!state_dir_open(&device.state)) {
        return EXIT_FAILURE;
    }
    bool started = start(&device);
    if (started) {
        run(&device);
    }
    bool again = device.linux_port.restart_requested && !s_stop;
    stop(&device);
    return !started ? EXIT_FAILURE : again ? restart(argv) : EXIT_SUCCESS;
}
