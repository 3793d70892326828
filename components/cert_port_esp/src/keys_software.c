/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/* Keys are software keys: they rest in the store, which NVS encrypts if told to. No eFuse is needed. */
#include "keys.h"
#include "sdkconfig.h"
#include "soc/soc_caps.h"

/* The target `linux` has no peripherals; some chips know no purposes of keys. */
#define HAS_KEY_BLOCKS (SOC_EFUSE_KEY_PURPOSE_FIELD && !CONFIG_IDF_TARGET_LINUX)

#if HAS_KEY_BLOCKS
#include "efuse_keys.h"
#endif

const cert_key_backend_t *keys_backend(void)
{
    return NULL;
}

cert_status_t keys_for_tls(cert_key_kind_t kind, const uint8_t *ref, size_t ref_len, keys_tls_t *out)
{
    *out = (keys_tls_t) { .der = (const char *)ref, .der_len = ref_len };
    return kind == CERT_KEY_KIND_SOFTWARE ? CERT_OK : CERT_ERR_UNSUPPORTED;
}

void keys_forget_tls(void)
{
}

void keys_print(cert_key_kind_t kind, const uint8_t *ref, size_t ref_len, void (*print)(const char *line))
{
    (void)kind;
    (void)ref;
    (void)ref_len;
#if HAS_KEY_BLOCKS
    efuse_keys_print(print);
#else
    print("keys: this platform has no eFuse blocks for keys of ours");
#endif
}

void keys_print_plan(void (*print)(const char *line))
{
    print("efuse-plan: nothing would be burned for software keys");
}
