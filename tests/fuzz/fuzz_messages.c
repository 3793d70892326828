/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * Everything that arrives as JSON: parse it, read it as every kind of message there is, and write answers with what was
 * read. The input is the payload.
 */
#include <ctype.h>
#include <malloc.h>

#include "guarded.h"
#include "input.h"
#include "messages.h"
#include "require.h"

#define STRINGS_MAX 4096

/* Strings of the message being freed: all have to be zero by then. */
static char s_scratch[CERT_MESSAGE_MAX];

static const void *s_strings[STRINGS_MAX];
static size_t s_string_count;

static void *allocate(size_t size)
{
    return calloc(1, size); /* what a string does not fill stays zero */
}

static void release(void *memory)
{
    for (size_t i = 0; i < s_string_count; i++) {
        if (s_strings[i] == memory) {
            const uint8_t *bytes = memory;
            for (size_t at = 0; at < malloc_usable_size(memory); at++) {
                REQUIRE(bytes[at] == 0, "a string of a message was not wiped");
            }
        }
    }
    free(memory);
}

static void collect_strings(const cJSON *item)
{
    for (; item != NULL; item = item->next) {
        if (item->valuestring != NULL && s_string_count < STRINGS_MAX) {
            s_strings[s_string_count++] = item->valuestring;
        }
        collect_strings(item->child);
    }
}

static bool is_id(const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    for (size_t i = 0; i < len; i++) {
        if (!isgraph((unsigned char)text[i])) {
            return false;
        }
    }
    return len > 0 && len <= CERT_REQUEST_ID_MAX;
}

static void check_outcome(cert_status_t status, const char *why)
{
    REQUIRE(status == CERT_OK || status == CERT_ERR_BAD_MESSAGE || status == CERT_ERR_UNSUPPORTED,
            "status of a reader");
    REQUIRE(status == CERT_OK || why != NULL, "a message was refused without a reason");
}

static void read_certificate(const cJSON *tree, const char *id_field)
{
    message_certificate_t message;
    const char *why = NULL;
    cert_status_t status = message_read_certificate(tree, id_field, &message, &why);
    check_outcome(status, why);
    if (status == CERT_OK) {
        REQUIRE(is_id(message.request_id), "certificate: id");
        REQUIRE(message.certificate != NULL && message.chain != NULL && message.certificate_id != NULL,
                "certificate: a field");
    }
}

static void read_rejected(const cJSON *tree, const char *id_field)
{
    message_rejected_t message;
    const char *why = NULL;
    cert_status_t status = message_read_rejected(tree, id_field, &message, &why);
    check_outcome(status, why);
    if (status == CERT_OK) {
        REQUIRE(is_id(message.request_id) && message.message != NULL, "rejected: a field");
        REQUIRE(message.code != CERT_OK && cert_status_code(message.code) != NULL, "rejected: code");
        REQUIRE(message.retry_after_s <= 7 * 24 * 3600, "rejected: retry_after_s");
    }
}

static void read_rotate(const cJSON *tree)
{
    message_rotate_t message;
    const char *why = NULL;
    cert_status_t status = message_read_rotate(tree, &message, &why);
    check_outcome(status, why);
    if (status == CERT_OK) {
        bool is_pushed = message.certificate != NULL;
        REQUIRE(is_pushed ? message.private_key != NULL && message.chain != NULL : is_id(message.rotation_id),
                "rotate: a field");
        REQUIRE(message.rotation_id == NULL || is_id(message.rotation_id), "rotate: id");
    }
}

static void read_commit(const cJSON *tree)
{
    message_commit_t message;
    const char *why = NULL;
    cert_status_t status = message_read_commit(tree, &message, &why);
    check_outcome(status, why);
    REQUIRE(status != CERT_OK || (is_id(message.rotation_id) && is_id(message.certificate_id)), "commit: a field");
}

static void read_trust(const cJSON *tree)
{
    message_trust_t message;
    const char *why = NULL;
    cert_status_t status = message_read_trust(tree, &message, &why);
    check_outcome(status, why);
    if (status == CERT_OK) {
        REQUIRE(message.version > 0 && message.signature != NULL && message.anchors->child != NULL, "trust: a field");
    }
}

/* What the device says about a message has to be a message itself. */
static void write_answers(const cJSON *tree)
{
    static char out[CERT_MESSAGE_MAX + 1];
    const char *id = message_rotation_id(tree);
    REQUIRE(id == NULL || is_id(id), "rotation id for the answer");
    const message_status_t said = {
        .rotation_id = id,
        .state = "rejected",
        .certificate_id = "",
        .generation = UINT32_MAX,
        .not_after = INT64_C(253402300799),
        .code = CERT_ERR_BAD_MESSAGE,
        .message = "no",
    };
    REQUIRE(message_write_status(out, sizeof(out), &said, UINT32_MAX) == CERT_OK, "no status could be written");
    cJSON *again;
    const char *why = NULL;
    REQUIRE(message_parse((const uint8_t *)out, strlen(out), s_scratch, &again, &why) == CERT_OK,
            "a status is no message");
    const char *id_again = message_rotation_id(again);
    REQUIRE(id == NULL ? id_again == NULL : id_again != NULL && strcmp(id, id_again) == 0,
            "a status changes its rotation id");
    message_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    cJSON_Hooks hooks = {.malloc_fn = allocate, .free_fn = release};
    cJSON_InitHooks(&hooks);
    if (len > GUARDED_MAX) {
        return -1;
    }
    cJSON *tree;
    const char *why = NULL;
    cert_status_t status = message_parse(guarded_copy(data, len), len, s_scratch, &tree, &why);
    REQUIRE((status == CERT_OK) == (tree != NULL), "a tree without success, or success without a tree");
    check_outcome(status, why);
    if (tree != NULL) {
        REQUIRE(len <= CERT_MESSAGE_MAX, "a message that is too large was accepted");
        read_certificate(tree, "request_id");
        read_certificate(tree, "rotation_id");
        read_rejected(tree, "request_id");
        read_rejected(tree, "rotation_id");
        read_rotate(tree);
        read_commit(tree);
        read_trust(tree);
        write_answers(tree);
        collect_strings(tree);
    }
    message_free(tree);
    s_string_count = 0;
    return 0;
}
