/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "console.h"

#include <stdlib.h>
#include <string.h>

#include "cert_mgmt/cert_console.h"
#include "esp_check.h"
#include "esp_console.h"
#include "sdkconfig.h"

static const char *TAG = "cert_agent";

/*
 * esp_console looks a command up by its first word; `help` is its own. What a command does is up to cert_console_run().
 */
static const esp_console_cmd_t s_commands[] = {
    { .command = "status", .help = "Who this device is, until when, and how the connection is" },
    { .command = "csr",
      .hint = "[ec|rsa]",
      .help = "Make a key and print a request for it; the key is forgotten again" },
    { .command = "keys", .help = "How private keys are kept, and in which eFuse blocks" },
    { .command = "efuse-plan", .help = "Which eFuses would be burned, for good" },
    { .command = "config", .hint = "get [KEY] | set KEY VALUE", .help = "Show or change a setting" },
    { .command = "restart", .help = "Restart the device" },
    { .command = "powercycle", .help = "Restart and lose the memory that survives a restart" },
    { .command = "factory-reset",
      .help = "Forget the device's own identity and restart; the bootstrap identity stays" },
    { .command = "log", .hint = "[error|warn|info|debug]", .help = "Show or set what is logged" },
};

static int post_command(int argc, char **argv)
{
    char *line = calloc(1, CERT_CONSOLE_LINE_MAX + 1);
    if (line == NULL) {
        return ESP_ERR_NO_MEM;
    }
    for (int i = 0; i < argc; i++) {
        strlcat(line, argv[i], CERT_CONSOLE_LINE_MAX + 1);
        strlcat(line, " ", CERT_CONSOLE_LINE_MAX + 1);
    }
    return console_post(line) ? ESP_OK : ESP_ERR_NO_MEM;
}

static esp_err_t new_repl(const esp_console_repl_config_t *config, esp_console_repl_t **repl)
{
#if CONFIG_ESP_CONSOLE_USB_SERIAL_JTAG
    const esp_console_dev_usb_serial_jtag_config_t device = ESP_CONSOLE_DEV_USB_SERIAL_JTAG_CONFIG_DEFAULT();
    return esp_console_new_repl_usb_serial_jtag(&device, config, repl);
#elif CONFIG_ESP_CONSOLE_USB_CDC
    const esp_console_dev_usb_cdc_config_t device = ESP_CONSOLE_DEV_CDC_CONFIG_DEFAULT();
    return esp_console_new_repl_usb_cdc(&device, config, repl);
#elif CONFIG_ESP_CONSOLE_UART_DEFAULT || CONFIG_ESP_CONSOLE_UART_CUSTOM
    const esp_console_dev_uart_config_t device = ESP_CONSOLE_DEV_UART_CONFIG_DEFAULT();
    return esp_console_new_repl_uart(&device, config, repl);
#else
    *repl = NULL; /* CONFIG_ESP_CONSOLE_NONE: the device runs without */
    return ESP_OK;
#endif
}

esp_err_t console_start(void)
{
    esp_console_repl_t *repl = NULL;
    esp_console_repl_config_t config = ESP_CONSOLE_REPL_CONFIG_DEFAULT();
    config.prompt = "cert>";
    config.max_cmdline_length = CERT_CONSOLE_LINE_MAX;
    ESP_RETURN_ON_ERROR(new_repl(&config, &repl), TAG, "the console cannot be opened");
    if (repl == NULL) {
        return ESP_OK;
    }
    for (size_t i = 0; i < sizeof(s_commands) / sizeof(s_commands[0]); i++) {
        esp_console_cmd_t command = s_commands[i];
        command.func = post_command;
        ESP_RETURN_ON_ERROR(esp_console_cmd_register(&command), TAG, "command %s", command.command);
    }
    return esp_console_start_repl(repl);
}
