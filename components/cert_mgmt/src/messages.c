/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "messages.h"

#include <ctype.h>
#include <mbedtls/platform_util.h>
#include <stdlib.h>
#include <string.h>

#include "civil_time.h"

#define NESTING_MAX 8
#define RETRY_AFTER_MAX_S (7 * 24 * 3600)

static cert_status_t bad(const char **why, const char *text)
{
    *why = text;
    return CERT_ERR_BAD_MESSAGE;
}

static const char *bad_control_character(uint8_t c, bool in_string)
{
    if (c >= 0x20 || (!in_string && (c == '\t' || c == '\n' || c == '\r'))) {
        return NULL;
    }
    return in_string && (c == '\n' || c == '\r') ? "a line break inside a string: write it as \\n"
                                                 : "a control character";
}

/* The UTF-16 code unit that four hexadecimal digits give; cJSON takes anything for a digit. */
static bool read_code_unit(const uint8_t *digits, size_t left, unsigned long *unit)
{
    char text[5] = { 0 };
    for (size_t i = 0; i < 4; i++) {
        if (i >= left || !isxdigit(digits[i])) {
            return false;
        }
        text[i] = (char)digits[i];
    }
    *unit = strtoul(text, NULL, 16);
    return true;
}

static bool is_low_surrogate(unsigned long unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/*
 * Bytes of the escape sequence at `escape`, which begins with a backslash. 0 for a \u that is no character, or the one
 * that would end a C string early. A wrong letter after the backslash is left to cJSON.
 */
static size_t escape_len(const uint8_t *escape, size_t left)
{
    unsigned long unit;
    if (left < 2 || escape[1] != 'u') {
        return left < 2 ? left : 2;
    }
    if (!read_code_unit(escape + 2, left - 2, &unit) || unit == 0 || is_low_surrogate(unit)) {
        return 0;
    }
    if (unit < 0xD800 || unit > 0xDFFF) {
        return 6;
    }
    bool is_pair = left >= 12 && escape[6] == '\\' && escape[7] == 'u' && read_code_unit(escape + 8, left - 8, &unit) &&
                   is_low_surrogate(unit);
    return is_pair ? 12 : 0;
}

/*
 * What cJSON lets pass or answers with deep recursion: raw control characters, bad code points, nesting without end.
 * Everything else is left to cJSON, which is given `blanked`: the payload with the text of every string made
 * unreadable.
 */
static cert_status_t scan(const uint8_t *payload, size_t len, char *blanked, const char **why)
{
    bool in_string = false;
    int depth = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = payload[i];
        const char *problem = bad_control_character(c, in_string);
        if (problem != NULL) {
            return bad(why, problem);
        }
        blanked[i] = (char)(in_string && c != '"' && c != '\\' ? 'x' : c);
        if (in_string && c == '\\') {
            size_t escaped = escape_len(payload + i, len - i);
            if (escaped == 0) {
                return bad(why, "\\u needs four hexadecimal digits that are a character, and not \\u0000");
            }
            memset(blanked + i, 'x', escaped);
            if (escaped == 2) {
                memcpy(blanked + i, payload + i, escaped);
            }
            i += escaped - 1;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == '{' || c == '[') && ++depth > NESTING_MAX) {
            return bad(why, "nested too deep");
        } else if (!in_string && (c == '}' || c == ']')) {
            depth--;
        }
    }
    return CERT_OK;
}

static bool only_space(const char *from, const char *end)
{
    for (; from < end; from++) {
        if (strchr(" \t\r\n", *from) == NULL || *from == '\0') {
            return false;
        }
    }
    return true;
}

static cJSON *parse_object(const char *text, size_t len)
{
    const char *end = NULL;
    cJSON *parsed = cJSON_ParseWithLengthOpts(text, len, &end, false);
    if (cJSON_IsObject(parsed) && only_space(end, text + len)) {
        return parsed;
    }
    message_free(parsed);
    return NULL;
}

cert_status_t message_parse(const uint8_t *payload, size_t len, char *scratch, cJSON **tree, const char **why)
{
    *tree = NULL;
    if (len > CERT_MESSAGE_MAX) {
        return bad(why, "larger than 8192 bytes");
    }
    cert_status_t status = scan(payload, len, scratch, why);
    if (status != CERT_OK) {
        return status;
    }
    cJSON *blank = parse_object(scratch, len);
    if (blank != NULL) {
        cJSON_Delete(blank);
        *tree = parse_object((const char *)payload, len);
    }
    return *tree != NULL ? CERT_OK : bad(why, "not a JSON object");
}

static void wipe(cJSON *item)
{
    for (; item != NULL; item = item->next) {
        if (item->valuestring != NULL) {
            mbedtls_platform_zeroize(item->valuestring, strlen(item->valuestring));
        }
        wipe(item->child);
    }
}

void message_free(cJSON *tree)
{
    wipe(tree);
    cJSON_Delete(tree);
}

static const char *text_of(const cJSON *tree, const char *field)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, field));
}

static bool has(const cJSON *tree, const char *field)
{
    return cJSON_GetObjectItemCaseSensitive(tree, field) != NULL;
}

/* Ids come back in our messages and log lines: printable, without blanks, quotes or backslashes, and bounded. */
static bool is_id(const char *text)
{
    if (text == NULL || *text == '\0' || strlen(text) > CERT_REQUEST_ID_MAX) {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~' || *text == '"' || *text == '\\') {
            return false;
        }
    }
    return true;
}

static cert_status_t read_id(const cJSON *tree, const char *field, const char **id, const char **why)
{
    *id = text_of(tree, field);
    return is_id(*id) ? CERT_OK : bad(why, "no usable rotation_id or request_id: 1 to 64 printable characters");
}

/* Optional: "" when absent, an error when present and not a string. */
static cert_status_t read_chain(const cJSON *tree, const char **chain, const char **why)
{
    *chain = has(tree, "chain") ? text_of(tree, "chain") : "";
    return *chain != NULL ? CERT_OK : bad(why, "chain is not a string");
}

cert_status_t message_read_certificate(const cJSON *tree, const char *id_field, message_certificate_t *out,
                                       const char **why)
{
    *out = (message_certificate_t) { 0 };
    cert_status_t status = read_id(tree, id_field, &out->request_id, why);
    if (status != CERT_OK) {
        return status;
    }
    out->certificate = text_of(tree, "certificate");
    out->certificate_id = text_of(tree, "certificate_id");
    if (out->certificate == NULL || out->certificate_id == NULL) {
        return bad(why, "no certificate, or no certificate_id");
    }
    const char *time = text_of(tree, "time");
    if (has(tree, "time") && (time == NULL || !civil_time_parse(time, &out->time))) {
        return bad(why, "time is not RFC 3339 in UTC");
    }
    return read_chain(tree, &out->chain, why);
}

cert_status_t message_read_rejected(const cJSON *tree, const char *id_field, message_rejected_t *out, const char **why)
{
    *out = (message_rejected_t) { 0 };
    cert_status_t status = read_id(tree, id_field, &out->request_id, why);
    if (status != CERT_OK) {
        return status;
    }
    const char *code = text_of(tree, "code");
    out->message = text_of(tree, "message");
    if (code == NULL || out->message == NULL) {
        return bad(why, "no code, or no message");
    }
    out->code = cert_status_from_code(code);
    const cJSON *retry = cJSON_GetObjectItemCaseSensitive(tree, "retry_after_s");
    if (cJSON_IsNumber(retry) && retry->valuedouble > 0) {
        out->retry_after_s = retry->valuedouble < RETRY_AFTER_MAX_S ? (uint32_t)retry->valuedouble : RETRY_AFTER_MAX_S;
    }
    return CERT_OK;
}

static bool read_key_type(const char *key, message_rotate_t *out)
{
    static const struct {
        const char *name;
        cert_key_type_t type;
    } types[] = {
        { "ec-p256", CERT_KEY_EC_P256 },
        { "rsa-2048", CERT_KEY_RSA_2048 },
        { "rsa-3072", CERT_KEY_RSA_3072 },
    };
    out->same_key = strcmp(key, "same") == 0;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(key, types[i].name) == 0) {
            out->key_type = types[i].type;
            return true;
        }
    }
    return out->same_key;
}

static cert_status_t read_rotate_by_csr(const cJSON *tree, message_rotate_t *out, const char **why)
{
    const char *mode = text_of(tree, "mode");
    const char *key = text_of(tree, "key");
    const char *deadline = text_of(tree, "deadline");
    if (mode == NULL || strcmp(mode, "csr") != 0) {
        return bad(why, "neither mode \"csr\" nor new_certificate");
    }
    if (out->rotation_id == NULL) {
        return bad(why, "no rotation_id");
    }
    if (key == NULL) {
        return bad(why, "no key");
    }
    if (has(tree, "deadline") && (deadline == NULL || !civil_time_parse(deadline, &out->deadline))) {
        return bad(why, "deadline is not RFC 3339 in UTC");
    }
    if (!read_key_type(key, out)) {
        *why = "this device makes ec-p256, rsa-2048 and rsa-3072 keys";
        return CERT_ERR_UNSUPPORTED;
    }
    return CERT_OK;
}

cert_status_t message_read_rotate(const cJSON *tree, message_rotate_t *out, const char **why)
{
    *out = (message_rotate_t) { 0 };
    if (has(tree, "rotation_id")) {
        cert_status_t status = read_id(tree, "rotation_id", &out->rotation_id, why);
        if (status != CERT_OK) {
            return status;
        }
    }
    if (!has(tree, "new_certificate")) {
        return read_rotate_by_csr(tree, out, why);
    }
    out->certificate = text_of(tree, "new_certificate");
    out->private_key = text_of(tree, "new_private_key");
    if (out->certificate == NULL || out->private_key == NULL) {
        return bad(why, "new_certificate and new_private_key have to be strings");
    }
    return read_chain(tree, &out->chain, why);
}

cert_status_t message_read_commit(const cJSON *tree, message_commit_t *out, const char **why)
{
    cert_status_t status = read_id(tree, "rotation_id", &out->rotation_id, why);
    if (status != CERT_OK) {
        return status;
    }
    return read_id(tree, "certificate_id", &out->certificate_id, why);
}

cert_status_t message_read_trust(const cJSON *tree, message_trust_t *out, const char **why)
{
    *out = (message_trust_t) { 0 };
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(tree, "version");
    if (!cJSON_IsNumber(version) || version->valuedouble < 1 || version->valuedouble > UINT32_MAX) {
        return bad(why, "version has to be a whole number from 1");
    }
    out->version = (uint32_t)version->valuedouble;
    if (out->version < version->valuedouble) {
        return bad(why, "version has to be a whole number from 1");
    }
    out->anchors = cJSON_GetObjectItemCaseSensitive(tree, "anchors");
    if (!cJSON_IsArray(out->anchors) || out->anchors->child == NULL) {
        return bad(why, "anchors has to be a list of certificates");
    }
    for (const cJSON *anchor = out->anchors->child; anchor != NULL; anchor = anchor->next) {
        if (!cJSON_IsString(anchor)) {
            return bad(why, "anchors has to be a list of strings");
        }
    }
    out->signature = text_of(tree, "signature");
    return out->signature != NULL ? CERT_OK : bad(why, "no signature");
}

const char *message_rotation_id(const cJSON *tree)
{
    const char *id = tree != NULL ? text_of(tree, "rotation_id") : NULL;
    return is_id(id) ? id : NULL;
}

static bool add(cJSON *tree, const char *field, const char *text)
{
    return cJSON_AddStringToObject(tree, field, text) != NULL;
}

/* Print and release a message; `complete` says whether building it found the memory it needed. */
static cert_status_t finish(cJSON *tree, bool complete, char *out, size_t cap)
{
    cert_status_t status = CERT_ERR_INTERNAL;
    if (complete) {
        status = cJSON_PrintPreallocated(tree, out, (int)cap, false) ? CERT_OK : CERT_ERR_TOO_LARGE;
    }
    cJSON_Delete(tree);
    return status;
}

cert_status_t message_write_enroll(char *out, size_t cap, const char *request_id, const char *csr_pem,
                                   const char *proof_mac, const char *hardware, const char *firmware)
{
    cJSON *tree = cJSON_CreateObject();
    bool complete = add(tree, "request_id", request_id) && add(tree, "csr", csr_pem);
    if (proof_mac != NULL) {
        complete = complete && add(cJSON_AddObjectToObject(tree, "proof"), "mac", proof_mac);
    }
    cJSON *details = cJSON_AddObjectToObject(tree, "hardware");
    complete = complete && add(details, "model", hardware) && add(details, "firmware", firmware);
    return finish(tree, complete, out, cap);
}

cert_status_t message_write_csr(char *out, size_t cap, const char *rotation_id, const char *csr_pem, bool expiring)
{
    cJSON *tree = cJSON_CreateObject();
    bool complete = add(tree, "rotation_id", rotation_id) && add(tree, "csr", csr_pem) &&
                    (!expiring || add(tree, "reason", "expiring"));
    return finish(tree, complete, out, cap);
}

cert_status_t message_write_status(char *out, size_t cap, const message_status_t *status, uint32_t trust_version)
{
    char not_after[CIVIL_TIME_TEXT_MAX];
    civil_time_format(status->not_after, not_after);
    cJSON *tree = cJSON_CreateObject();
    bool complete = (status->rotation_id == NULL || add(tree, "rotation_id", status->rotation_id)) &&
                    add(tree, "state", status->state) && add(tree, "certificate_id", status->certificate_id) &&
                    cJSON_AddNumberToObject(tree, "generation", status->generation) != NULL &&
                    add(tree, "not_after", not_after) &&
                    cJSON_AddNumberToObject(tree, "trust_version", trust_version) != NULL;
    if (status->code != CERT_OK) {
        complete =
            complete && add(tree, "code", cert_status_code(status->code)) && add(tree, "message", status->message);
    }
    return finish(tree, complete, out, cap);
}
