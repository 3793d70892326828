/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cert_mgmt/cert_console.h"

#include <mbedtls/platform_util.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "civil_time.h"
#include "csr.h"
#include "key_backend.h"
#include "time_floor.h"

#define WORDS_MAX 5

typedef struct {
    const char *name;
    const char *usage;
    const char *help;
    int words_min;
    int words_max;
    void (*run)(const cert_console_t *console, int count, char **words);
} command_t;

__attribute__((format(printf, 2, 3))) static void say(const cert_console_t *console, const char *format, ...)
{
    char line[CERT_CONSOLE_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    console->print(console->ctx, line);
}

/* By which time certificates are checked, and how far it can be trusted. */
static void print_time(const cert_console_t *console)
{
    const char *source = console->clock_source != NULL ? console->clock_source : "clock";
    char time[CIVIL_TIME_TEXT_MAX];
    bool is_known;
    civil_time_format(time_floor_now(console->port, console->agent->time_floor, &is_known), time);
    say(console, is_known ? "time: now=%s source=%s" : "time: now=%s or later source=floor", time, source);
}

static void run_status(const cert_console_t *console, int count, char **words)
{
    (void)count;
    (void)words;
    char line[CERT_LOG_LINE_MAX];
    cert_agent_status_line(console->agent, line, sizeof(line));
    console->print(console->ctx, line);
    if (console->agent->config != NULL) {
        print_time(console);
    }
}

/*
 * A request for a key made here and forgotten again: shows that this chip can make them, without touching the identity
 * in use. Key and request take the agent's scratch memory, which is free between its calls.
 */
static cert_status_t make_csr(const cert_console_t *console, cert_key_type_t type)
{
    cert_agent_t *agent = console->agent;
    uint8_t *ref = agent->candidate.key;
    size_t ref_len = 0;
    cert_status_t status = key_backend_software.generate(NULL, type, ref, &ref_len);
    if (status == CERT_OK) {
        status = csr_write_pem(&key_backend_software, ref, ref_len, console->settings->id, agent->out,
                               sizeof(agent->out));
    }
    mbedtls_platform_zeroize(ref, CERT_KEY_MAX);
    return status;
}

static void run_csr(const cert_console_t *console, int count, char **words)
{
    cert_key_type_t type = CERT_KEY_EC_P256;
    if (count == 2 && strcmp(words[1], "rsa") == 0) {
        type = CERT_KEY_RSA_2048;
    } else if (count == 2 && strcmp(words[1], "ec") != 0) {
        say(console, "error: csr makes ec or rsa keys, not '%s'", words[1]);
        return;
    }
    cert_status_t status = make_csr(console, type);
    if (status != CERT_OK) {
        say(console, "error: no request could be made: %s", cert_status_code(status));
        return;
    }
    char *csr = console->agent->out;
    csr[strlen(csr) - 1] = '\0'; /* print() ends the last line */
    console->print(console->ctx, csr);
}

static void run_efuse_plan(const cert_console_t *console, int count, char **words)
{
    (void)count;
    if (console->efuses != NULL) {
        console->efuses(console->ctx, words[0][0] == 'e');
    } else {
        say(console, "%s: there are no eFuses here", words[0]);
    }
}

static void run_keys(const cert_console_t *console, int count, char **words)
{
    const cert_agent_t *agent = console->agent;
    const cert_identity_t *identity = &agent->identity;
    say(console, "keys: backend=%s identity=%s",
        agent->config == NULL ? "none" : key_kind_name(agent->key_backend->kind),
        identity->key_len == 0 ? "bootstrap" : key_kind_name(identity->key_kind));
    run_efuse_plan(console, count, words);
}

static void print_setting(const cert_console_t *console, const char *key)
{
    char value[CERT_HOST_MAX + 1];
    if (cert_settings_get(console->settings, key, value, sizeof(value)) == CERT_OK) {
        say(console, "config: %s=%s", key, value);
    } else {
        say(console, "error: no setting '%s'; 'config get' lists them", key);
    }
}

static void set_setting(const cert_console_t *console, const char *key, const char *value)
{
    cert_status_t status = cert_settings_set(console->settings, console->port, key, value);
    if (status == CERT_OK) {
        print_setting(console, key);
    } else if (status == CERT_ERR_NOT_FOUND) {
        say(console, "error: no setting '%s'; 'config get' lists them", key);
    } else if (status == CERT_ERR_INVALID_ARG) {
        say(console, "error: '%s' is no value for %s", value, key);
    } else {
        say(console, "error: %s could not be stored: %s", key, cert_status_code(status));
    }
}

static void run_config(const cert_console_t *console, int count, char **words)
{
    if (count == 4 && strcmp(words[1], "set") == 0) {
        set_setting(console, words[2], words[3]);
    } else if (count == 3 && strcmp(words[1], "get") == 0) {
        print_setting(console, words[2]);
    } else if (count == 2 && strcmp(words[1], "get") == 0) {
        for (size_t i = 0; cert_settings_key(i) != NULL; i++) {
            print_setting(console, cert_settings_key(i));
        }
    } else {
        say(console, "error: usage: config get [KEY] | config set KEY VALUE");
    }
}

static void run_restart(const cert_console_t *console, int count, char **words)
{
    (void)count;
    (void)words;
    say(console, "restart: now");
    console->port->restart(console->port->ctx);
}

static void run_power_cycle(const cert_console_t *console, int count, char **words)
{
    (void)count;
    (void)words;
    if (console->power_cycle == NULL) {
        say(console, "error: only your hand can do that here: pull the plug");
        return;
    }
    say(console, "powercycle: now");
    cert_status_t status = console->power_cycle(console->ctx);
    if (status != CERT_OK) {
        say(console, "error: no power cycle: %s", cert_status_code(status));
    }
}

static void run_factory_reset(const cert_console_t *console, int count, char **words)
{
    (void)count;
    (void)words;
    if (console->agent->phase == CERT_PHASE_STOPPED) {
        say(console, "error: the device is not running; set id and broker, then restart");
        return;
    }
    say(console, "factory-reset: now");
    cert_status_t status = cert_agent_factory_reset(console->agent);
    if (status != CERT_OK) {
        say(console, "error: the identity could not be erased: %s", cert_status_code(status));
    }
}

static void run_log(const cert_console_t *console, int count, char **words)
{
    static const char *const names[] = {
        [CERT_LOG_ERROR] = "error",
        [CERT_LOG_WARN] = "warn",
        [CERT_LOG_INFO] = "info",
        [CERT_LOG_DEBUG] = "debug",
    };
    for (size_t i = 0; count == 2 && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(words[1], names[i]) == 0) {
            *console->log_level = (cert_log_level_t)i;
            say(console, "log: level=%s", names[i]);
            return;
        }
    }
    if (count == 1) {
        say(console, "log: level=%s", names[*console->log_level]);
    } else {
        say(console, "error: log levels are error, warn, info and debug");
    }
}

static void run_help(const cert_console_t *console, int count, char **words);

static const command_t s_commands[] = {
    { "help", "help", "this list", 1, 1, run_help },
    { "status", "status", "who this device is, until when, and how the connection is", 1, 1, run_status },
    { "csr", "csr [ec|rsa]", "make a key and print a request for it; the key is forgotten again", 1, 2, run_csr },
    { "keys", "keys", "how private keys are kept, and in which eFuse blocks", 1, 1, run_keys },
    { "efuse-plan", "efuse-plan", "which eFuses would be burned, for good", 1, 1, run_efuse_plan },
    { "config", "config get [KEY]", "show the settings", 2, 4, run_config },
    { "config", "config set KEY VALUE", "change a setting; takes effect at the next restart", 2, 4, run_config },
    { "restart", "restart", "restart the device", 1, 1, run_restart },
    { "powercycle", "powercycle", "restart and lose the memory that survives a restart", 1, 1, run_power_cycle },
    { "factory-reset", "factory-reset", "forget the device's own identity and restart; the bootstrap identity stays", 1,
      1, run_factory_reset },
    { "log", "log [LEVEL]", "show or set what is logged: error, warn, info, debug", 1, 2, run_log },
};

#define COMMAND_COUNT (sizeof(s_commands) / sizeof(s_commands[0]))

static void run_help(const cert_console_t *console, int count, char **words)
{
    (void)count;
    (void)words;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        say(console, "  %-22s %s", s_commands[i].usage, s_commands[i].help);
    }
}

/* Split at blanks, in place. Returns the number of words, WORDS_MAX standing for "too many". */
static int split(char *line, char **words)
{
    int count = 0;
    char *word = line;
    while (count < WORDS_MAX) {
        word += strspn(word, " \t\r\n");
        if (*word == '\0') {
            break;
        }
        words[count++] = word;
        word += strcspn(word, " \t\r\n");
        if (*word != '\0') {
            *word++ = '\0';
        }
    }
    return count;
}

void cert_console_run(const cert_console_t *console, const char *line)
{
    char copy[CERT_CONSOLE_LINE_MAX + 1];
    char *words[WORDS_MAX];
    size_t len = strlen(line);
    if (len > CERT_CONSOLE_LINE_MAX) {
        say(console, "error: a command line has at most %d characters", CERT_CONSOLE_LINE_MAX);
        return;
    }
    memcpy(copy, line, len + 1);
    int count = split(copy, words);
    if (count == 0) {
        return;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const command_t *command = &s_commands[i];
        if (strcmp(words[0], command->name) == 0) {
            if (count < command->words_min || count > command->words_max) {
                say(console, "error: usage: %s", command->usage);
            } else {
                command->run(console, count, words);
            }
            return;
        }
    }
    say(console, "error: no command '%.40s'; 'help' lists them", words[0]);
}
