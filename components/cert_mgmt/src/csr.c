/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "csr.h"

#include <mbedtls/pem.h>
#include <mbedtls/platform_util.h>
#include <stdio.h>

#include "cert_mgmt/cert_limits.h"
#include "mbedtls_compat.h"

#define STACK_USED 2048 /* by mbedTLS for a signature, at least as far as the frame in question */

#define CSR_DER_MAX 1536 /* RSA-4096 with the longest device id takes about 1,180 */

/*
 * mbedTLS makes ECDSA signatures after RFC 6979 and leaves the private scalar in the stack frame it did that in. This
 * one is in the same place.
 */
__attribute__((noinline)) static void wipe_stack(void)
{
    uint8_t frame[STACK_USED];
    mbedtls_platform_zeroize(frame, sizeof(frame));
}

cert_status_t csr_write_pem(mbedtls_pk_context *key, const char *device_id, char *out, size_t cap)
{
    char subject[sizeof("CN=") + CERT_DEVICE_ID_MAX];
    unsigned char der[CSR_DER_MAX];
    snprintf(subject, sizeof(subject), "CN=%s", device_id);

    mbedtls_x509write_csr request;
    mbedtls_x509write_csr_init(&request);
    mbedtls_x509write_csr_set_md_alg(&request, MBEDTLS_MD_SHA256);
    mbedtls_x509write_csr_set_key(&request, key);
    int len = mbedtls_x509write_csr_set_subject_name(&request, subject);
    if (len == 0) {
        len = compat_csr_write_der(&request, der, sizeof(der));
        wipe_stack();
    }
    mbedtls_x509write_csr_free(&request);
    if (len < 0) {
        return CERT_ERR_INTERNAL;
    }
    size_t written;
    int failed =
        mbedtls_pem_write_buffer("-----BEGIN CERTIFICATE REQUEST-----\n", "-----END CERTIFICATE REQUEST-----\n",
                                 der + sizeof(der) - len, (size_t)len, (unsigned char *)out, cap, &written);
    return failed ? CERT_ERR_TOO_LARGE : CERT_OK;
}
