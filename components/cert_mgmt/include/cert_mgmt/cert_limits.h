/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief Every size limit of the certificate lifecycle, in bytes unless it says otherwise.
 *
 * All buffers of the core are sized by these constants; nothing grows at run time.
 */
#pragma once

/** Longest device id, without the terminating NUL (docs/protocol.md, "Names"). */
#define CERT_DEVICE_ID_MAX 64

/** Longest request or rotation id, without the terminating NUL: room for a certificate id. */
#define CERT_REQUEST_ID_MAX 64

/** A certificate id: the SHA-256 of the certificate's DER in lower-case hex, without the terminating NUL. */
#define CERT_ID_LEN 64

/** Largest MQTT payload in either direction (docs/protocol.md, "Messages"). */
#define CERT_MESSAGE_MAX 8192

/** Longest MQTT topic the core builds, with the terminating NUL. */
#define CERT_TOPIC_MAX 128

/** Largest certificate chain as PEM text, leaf first, without the terminating NUL. Set by Kconfig on ESP-IDF. */
#ifdef CONFIG_CERT_MGMT_CHAIN_MAX
#define CERT_CHAIN_PEM_MAX CONFIG_CERT_MGMT_CHAIN_MAX
#else
#define CERT_CHAIN_PEM_MAX 4096
#endif

/** Largest set of trust anchors as PEM text, without the terminating NUL. */
#define CERT_ANCHORS_PEM_MAX 4096

/** Largest key reference. A software key is its own reference: RSA-4096 in PKCS#1 DER takes 2,350 bytes at most. */
#define CERT_KEY_MAX 2400

/** Largest certification request as PEM text, with the terminating NUL (RSA-4096: about 1,750). */
#define CERT_CSR_PEM_MAX 2048

/** Header, key, chain and CRC of one identity as it is stored (docs/identity-store.md). */
#define CERT_SLOT_BLOB_MAX (32 + CERT_REQUEST_ID_MAX + CERT_KEY_MAX + CERT_CHAIN_PEM_MAX + 4)

/** Longest line the core reports, with the terminating NUL; a longer one is cut. */
#define CERT_LOG_LINE_MAX 320
