/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "long_call.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "esp_log.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "psa/crypto.h"

#define LONG_US (2 * 1000000)
#define REPORT_EVERY_US (5 * 1000000)

static const char *TAG = "cert_agent";

/* The agent's task, the only one that these are about; the last is set by others. */
static TaskHandle_t s_task;
static int64_t s_began_us;
static int64_t s_report_us;
static atomic_bool s_is_given_up;

void long_call_begin(void)
{
    s_task = xTaskGetCurrentTaskHandle();
    s_began_us = esp_timer_get_time();
    s_report_us = s_began_us + REPORT_EVERY_US;
    atomic_store(&s_is_given_up, false);
}

void long_call_give_up(void)
{
    atomic_store(&s_is_given_up, true);
}

/** Whether whoever asks for random numbers is to get them. */
static bool goes_on(void)
{
    if (s_task == NULL || xTaskGetCurrentTaskHandle() != s_task) {
        return true;
    }
    int64_t now_us = esp_timer_get_time();
    if (now_us >= s_report_us) {
        s_report_us = now_us + REPORT_EVERY_US;
        ESP_LOGI(TAG, "making a key: %" PRId64 " s so far; `restart` gives it up", (now_us - s_began_us) / 1000000);
    }
    if (now_us - s_began_us < LONG_US || !atomic_load(&s_is_given_up)) {
        return true;
    }
    ESP_LOGW(TAG, "making a key: given up");
    return false;
}

/* Linked in the place of the random generator of PSA Crypto (--wrap in CMakeLists.txt), whichever this mbedTLS has. */
#ifdef MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG
psa_status_t __real_mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context, uint8_t *output,
                                                    size_t size, size_t *len);
psa_status_t __wrap_mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context, uint8_t *output,
                                                    size_t size, size_t *len);

psa_status_t __wrap_mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context, uint8_t *output,
                                                    size_t size, size_t *len)
{
    return goes_on() ? __real_mbedtls_psa_external_get_random(context, output, size, len)
                     : PSA_ERROR_INSUFFICIENT_ENTROPY;
}
#else
int __real_mbedtls_ctr_drbg_random(void *context, unsigned char *output, size_t len);
int __wrap_mbedtls_ctr_drbg_random(void *context, unsigned char *output, size_t len);

int __wrap_mbedtls_ctr_drbg_random(void *context, unsigned char *output, size_t len)
{
    return goes_on() ? __real_mbedtls_ctr_drbg_random(context, output, len) : PSA_ERROR_INSUFFICIENT_ENTROPY;
}
#endif
