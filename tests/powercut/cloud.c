/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cloud.h"

#include <stdio.h>
#include <string.h>

#include "authority.h"
#include "civil_time.h"
#include "testing.h"

/* A certificate is valid from an hour before it is made, and one made later is newer. */
#define BACKDATED_S 3600
#define BETWEEN_CERTIFICATES_S 60

static const char *text_of(const cJSON *message, const char *field)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(message, field));
    return text != NULL ? text : "";
}

static const authority_certificate_t *certificate_of(const cloud_t *cloud, int number)
{
    const cloud_certificate_t *certificate = &cloud->certificates[number];
    return authority_certificate(certificate->key, certificate->not_before);
}

int cloud_find_certificate(const cloud_t *cloud, const char *id)
{
    for (int i = cloud->certificate_count - 1; i >= 0; i--) {
        if (strcmp(certificate_of(cloud, i)->id, id) == 0) {
            return i;
        }
    }
    return CLOUD_NONE;
}

int cloud_find_chain(const cloud_t *cloud, const char *chain_pem)
{
    for (int i = cloud->certificate_count - 1; i >= 0; i--) {
        const char *pem = certificate_of(cloud, i)->pem;
        if (strncmp(chain_pem, pem, strlen(pem)) == 0) {
            return i;
        }
    }
    return CLOUD_NONE;
}

static int find_in_state(const cloud_t *cloud, cloud_certificate_state_t state)
{
    for (int i = cloud->certificate_count - 1; i >= 0; i--) {
        if (cloud->certificates[i].state == state) {
            return i;
        }
    }
    return CLOUD_NONE;
}

int cloud_active(const cloud_t *cloud)
{
    return find_in_state(cloud, CERTIFICATE_ACTIVE);
}

cloud_rotation_t *cloud_last_rotation(cloud_t *cloud)
{
    return cloud->rotation_count > 0 ? &cloud->rotations[cloud->rotation_count - 1] : NULL;
}

bool cloud_is_open(const cloud_rotation_t *rotation)
{
    return rotation->state <= ROTATION_COMMITTING;
}

static cloud_rotation_t *open_rotation(cloud_t *cloud)
{
    cloud_rotation_t *last = cloud_last_rotation(cloud);
    return last != NULL && cloud_is_open(last) ? last : NULL;
}

static cloud_rotation_t *find_rotation(cloud_t *cloud, const char *id)
{
    for (int i = cloud->rotation_count - 1; i >= 0; i--) {
        if (strcmp(cloud->rotations[i].id, id) == 0) {
            return &cloud->rotations[i];
        }
    }
    return NULL;
}

/** The rotation a certificate was made for, if it is still its candidate. */
static cloud_rotation_t *rotation_to(cloud_t *cloud, int certificate)
{
    int rotation = cloud->certificates[certificate].rotation;
    bool is_it = rotation != CLOUD_NONE && cloud->rotations[rotation].new_certificate == certificate;
    return is_it ? &cloud->rotations[rotation] : NULL;
}

static bool has_expired(const cloud_t *cloud, int certificate)
{
    return cloud->certificates[certificate].not_before + AUTHORITY_VALIDITY <= cloud->now;
}

static bool may_enroll(const cloud_t *cloud)
{
    int active = cloud_active(cloud);
    return active == CLOUD_NONE || has_expired(cloud, active) || cloud->may_reenroll;
}

bool cloud_lets_in(const cloud_t *cloud, int certificate)
{
    if (certificate == CLOUD_BOOTSTRAP) {
        return may_enroll(cloud);
    }
    if (certificate == CLOUD_NONE || has_expired(cloud, certificate)) {
        return false;
    }
    const cloud_certificate_t *known = &cloud->certificates[certificate];
    if (known->state == CERTIFICATE_ISSUED) {
        return known->rotation == CLOUD_NONE || !cloud->refuses_candidates;
    }
    return known->state == CERTIFICATE_ACTIVE;
}

void cloud_revoke(cloud_t *cloud, int certificate)
{
    cloud->certificates[certificate].state = CERTIFICATE_REVOKED;
}

static void activate(cloud_t *cloud, int certificate)
{
    int former = cloud_active(cloud);
    if (former != CLOUD_NONE) {
        cloud->certificates[former].state = CERTIFICATE_SUPERSEDED;
    }
    cloud->certificates[certificate].state = CERTIFICATE_ACTIVE;
    cloud->certificates[certificate].was_active = true;
}

static void close_rotation(cloud_t *cloud, cloud_rotation_t *rotation, cloud_rotation_state_t state)
{
    rotation->state = state;
    if (rotation->new_certificate != CLOUD_NONE &&
        cloud->certificates[rotation->new_certificate].state == CERTIFICATE_ISSUED) {
        cloud_revoke(cloud, rotation->new_certificate);
    }
}

static void advance(cloud_rotation_t *rotation, cloud_rotation_state_t state)
{
    if (state > rotation->state) {
        rotation->state = state;
    }
}

static cloud_rotation_t *add_rotation(cloud_t *cloud, const char *id, cloud_rotation_kind_t kind)
{
    assert_true(cloud->rotation_count < CLOUD_ROTATIONS_MAX);
    cloud_rotation_t *rotation = &cloud->rotations[cloud->rotation_count++];
    *rotation = (cloud_rotation_t){.kind = kind, .new_certificate = CLOUD_NONE};
    snprintf(rotation->id, sizeof(rotation->id), "%s", id);
    return rotation;
}

/** Make a certificate, in place of any the device was given and has not used. */
static int issue(cloud_t *cloud, int key, const char *request_id, int rotation)
{
    int former = find_in_state(cloud, CERTIFICATE_ISSUED);
    if (former != CLOUD_NONE) {
        cloud_revoke(cloud, former);
        cloud->certificates[former].was_replaced = true;
    }
    assert_true(cloud->certificate_count < CLOUD_CERTIFICATES_MAX);
    int number = cloud->certificate_count++;
    cloud_certificate_t *certificate = &cloud->certificates[number];
    *certificate = (cloud_certificate_t){
        .key = key,
        .not_before = cloud->now - BACKDATED_S + number * BETWEEN_CERTIFICATES_S,
        .rotation = rotation,
    };
    snprintf(certificate->request_id, sizeof(certificate->request_id), "%s", request_id);
    return number;
}

/** Is this a late copy of a request whose certificate a newer request has replaced? */
static bool is_replaced(const cloud_t *cloud, int key, const char *request_id)
{
    for (int i = 0; i < cloud->certificate_count; i++) {
        const cloud_certificate_t *certificate = &cloud->certificates[i];
        if (certificate->was_replaced && certificate->key == key && strcmp(certificate->request_id, request_id) == 0) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- what is sent */

static cJSON *certificate_message(const cloud_t *cloud, const char *id_field, const char *id, int number)
{
    const authority_certificate_t *certificate = certificate_of(cloud, number);
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, id_field, id);
    cJSON_AddStringToObject(message, "certificate", certificate->pem);
    cJSON_AddStringToObject(message, "chain", authority_chain_pem());
    cJSON_AddStringToObject(message, "certificate_id", certificate->id);
    return message;
}

static void send_rejected(const cloud_outlet_t *outlet, const char *leaf, const char *id_field, const char *id,
                          const char *code)
{
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, id_field, id);
    cJSON_AddStringToObject(message, "code", code);
    cJSON_AddStringToObject(message, "message", "refused by the simulated cloud");
    outlet->send(outlet->ctx, leaf, message);
}

static void send_rotate(const cloud_outlet_t *outlet, const cloud_rotation_t *rotation)
{
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "rotation_id", rotation->id);
    cJSON_AddStringToObject(message, "mode", "csr");
    cJSON_AddStringToObject(message, "key", rotation->kind == ROTATE_ON_SAME_KEY ? "same" : "ec-p256");
    outlet->send(outlet->ctx, "rotate", message);
}

static void send_push(const cloud_t *cloud, const cloud_outlet_t *outlet, const cloud_rotation_t *rotation)
{
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "rotation_id", rotation->id);
    cJSON_AddStringToObject(message, "new_certificate", certificate_of(cloud, rotation->new_certificate)->pem);
    cJSON_AddStringToObject(message, "new_private_key",
                            authority_key_pem(cloud->certificates[rotation->new_certificate].key));
    cJSON_AddStringToObject(message, "chain", authority_chain_pem());
    outlet->send(outlet->ctx, "rotate", message);
}

static void send_commit(cloud_t *cloud, const cloud_outlet_t *outlet, const cloud_rotation_t *rotation)
{
    for (int copy = 0; copy < (cloud->says_commit_twice ? 2 : 1); copy++) {
        if (cloud->commits_to_lose > 0) {
            cloud->commits_to_lose--;
            continue;
        }
        cJSON *message = cJSON_CreateObject();
        cJSON_AddStringToObject(message, "rotation_id", rotation->id);
        cJSON_AddStringToObject(message, "certificate_id", certificate_of(cloud, rotation->new_certificate)->id);
        outlet->send(outlet->ctx, "commit", message);
    }
}

/* ---------------------------------------------------------------- enrolment */

static void enroll(cloud_t *cloud, const cloud_outlet_t *outlet, const cJSON *message, int sender)
{
    const char *id = text_of(message, "request_id");
    int key = authority_key_of_csr(text_of(message, "csr"));
    int answers[] = {find_in_state(cloud, CERTIFICATE_ISSUED), cloud_active(cloud)};
    int answer = CLOUD_NONE;
    for (size_t i = 0; i < COUNT(answers) && answer == CLOUD_NONE; i++) {
        bool is_it =
            answers[i] != CLOUD_NONE && cloud->certificates[answers[i]].key == key && !has_expired(cloud, answers[i]);
        answer = is_it ? answers[i] : CLOUD_NONE;
    }
    if (sender != CLOUD_BOOTSTRAP || (answer == CLOUD_NONE && !may_enroll(cloud))) {
        send_rejected(outlet, "rejected", "request_id", id, "not_allowed");
        return;
    }
    if (answer == CLOUD_NONE && is_replaced(cloud, key, id)) {
        send_rejected(outlet, "rejected", "request_id", id, "stale");
        return;
    }
    if (answer == CLOUD_NONE) {
        cloud_rotation_t *rotation = open_rotation(cloud);
        if (rotation != NULL) {
            close_rotation(cloud, rotation, ROTATION_ABANDONED);
        }
        answer = issue(cloud, key, id, CLOUD_NONE);
    }
    cJSON *accepted = certificate_message(cloud, "request_id", id, answer);
    char now[CIVIL_TIME_TEXT_MAX];
    civil_time_format(cloud->now, now);
    cJSON_AddStringToObject(accepted, "time", now);
    outlet->send(outlet->ctx, "accepted", accepted);
}

/* ---------------------------------------------------------------- rotation */

void cloud_rotate(cloud_t *cloud, const cloud_outlet_t *outlet, cloud_rotation_kind_t kind)
{
    char id[CERT_REQUEST_ID_MAX + 1];
    snprintf(id, sizeof(id), "order-%d", cloud->rotation_count + 1);
    cloud_rotation_t *rotation = add_rotation(cloud, id, kind);
    if (kind != ROTATE_BY_PUSH) {
        send_rotate(outlet, rotation);
        return;
    }
    rotation->new_certificate = issue(cloud, cloud->keys_made++, id, cloud->rotation_count - 1);
    rotation->state = ROTATION_ISSUED;
    send_push(cloud, outlet, rotation);
}

bool cloud_window_over(cloud_t *cloud, cloud_rotation_t *rotation)
{
    rotation->is_old = true;
    if (rotation->state == ROTATION_COMMITTING) {
        return false; /* it waits for the device's word, however long that takes */
    }
    close_rotation(cloud, rotation, ROTATION_ABANDONED);
    return true;
}

/** The rotation that a request is for, or that it begins; NULL with `code` if it is refused. */
static cloud_rotation_t *rotation_of_request(cloud_t *cloud, const cJSON *message, int sender, const char **code)
{
    const char *id = text_of(message, "rotation_id");
    cloud_rotation_t *rotation = find_rotation(cloud, id);
    if (rotation != NULL) {
        *code = "not_allowed";
        return rotation->kind != ROTATE_BY_PUSH ? rotation : NULL;
    }
    *code = "not_allowed";
    if (strcmp(text_of(message, "reason"), "expiring") != 0) {
        return NULL;
    }
    cloud_rotation_t *current = open_rotation(cloud);
    if (current != NULL) {
        *code = "busy";
        if (current->kind != ROTATE_BY_DEVICE || current->state >= ROTATION_STAGED ||
            current->new_certificate == sender) {
            return NULL;
        }
        close_rotation(cloud, current, ROTATION_ABANDONED);
    }
    return add_rotation(cloud, id, ROTATE_BY_DEVICE);
}

static int answer_to(cloud_t *cloud, cloud_rotation_t *rotation, int key, const char **code)
{
    const cloud_certificate_t *earlier =
        rotation->new_certificate != CLOUD_NONE ? &cloud->certificates[rotation->new_certificate] : NULL;
    if (earlier != NULL && earlier->key == key && earlier->state <= CERTIFICATE_ACTIVE) {
        return rotation->new_certificate;
    }
    *code = "stale";
    if (rotation->state >= ROTATION_STAGED || is_replaced(cloud, key, rotation->id)) {
        return CLOUD_NONE;
    }
    rotation->new_certificate = issue(cloud, key, rotation->id, (int)(rotation - cloud->rotations));
    advance(rotation, ROTATION_ISSUED);
    return rotation->new_certificate;
}

static void answer_csr(cloud_t *cloud, const cloud_outlet_t *outlet, const cJSON *message, int sender)
{
    const char *id = text_of(message, "rotation_id");
    const char *code = NULL;
    cloud_rotation_t *rotation = rotation_of_request(cloud, message, sender, &code);
    int answer = CLOUD_NONE;
    if (rotation != NULL) {
        answer = answer_to(cloud, rotation, authority_key_of_csr(text_of(message, "csr")), &code);
    }
    if (answer != CLOUD_NONE) {
        outlet->send(outlet->ctx, "issued", certificate_message(cloud, "rotation_id", id, answer));
    } else {
        send_rejected(outlet, "rejected", "rotation_id", id, code);
    }
}

/* ---------------------------------------------------------------- status, as in fleetpki/lifecycle/status.py */

/** Say again what a device that was away may have missed; a pushed key cannot be said again. */
static void repeat(const cloud_t *cloud, const cloud_outlet_t *outlet, const cloud_rotation_t *rotation)
{
    if (rotation->kind == ROTATE_BY_PUSH || rotation->state >= ROTATION_STAGED) {
        return;
    }
    if (rotation->kind != ROTATE_BY_DEVICE) {
        send_rotate(outlet, rotation);
    } else if (rotation->new_certificate != CLOUD_NONE) {
        outlet->send(outlet->ctx, "issued",
                     certificate_message(cloud, "rotation_id", rotation->id, rotation->new_certificate));
    }
}

static void on_connected(cloud_t *cloud, const cloud_outlet_t *outlet, const cJSON *message, int sender)
{
    if (cloud_find_certificate(cloud, text_of(message, "certificate_id")) != sender) {
        snprintf(cloud->fault, sizeof(cloud->fault), "claims to be connected with another certificate than it is");
        return;
    }
    cloud_rotation_t *own = rotation_to(cloud, sender);
    if (own != NULL && cloud_is_open(own)) {
        advance(own, ROTATION_COMMITTING);
        send_commit(cloud, outlet, own);
        return;
    }
    if (own != NULL && strcmp(own->id, text_of(message, "rotation_id")) == 0) {
        send_commit(cloud, outlet, own); /* it is committed here, and the device has not heard of it */
    }
    cloud_rotation_t *open = open_rotation(cloud);
    if (open == NULL) {
        return;
    }
    if (open->state == ROTATION_COMMITTING && open->is_old) {
        close_rotation(cloud, open, ROTATION_ROLLED_BACK);
    } else {
        repeat(cloud, outlet, open);
    }
}

static void on_committed(cloud_t *cloud, const cloud_outlet_t *outlet, int sender, uint32_t generation)
{
    cloud_rotation_t *rotation = rotation_to(cloud, sender);
    if (rotation == NULL) {
        snprintf(cloud->fault, sizeof(cloud->fault), "claims a commit over a connection with no new certificate");
        return;
    }
    if (cloud_is_open(rotation)) {
        rotation->state = ROTATION_COMMITTED;
        activate(cloud, sender);
        cloud->generation_committed = generation;
        if (cloud->says_commit_twice) {
            send_commit(cloud, outlet, rotation);
        }
    }
}

static void on_ended(cloud_t *cloud, const cJSON *message, int sender, cloud_rotation_state_t state)
{
    cloud_rotation_t *rotation = find_rotation(cloud, text_of(message, "rotation_id"));
    bool may_end =
        rotation != NULL && (cloud_is_open(rotation) || rotation->state == ROTATION_ABANDONED) &&
        (state != ROTATION_REJECTED || rotation->state < ROTATION_STAGED || rotation->state == ROTATION_ABANDONED);
    if (may_end && rotation->new_certificate != sender) {
        close_rotation(cloud, rotation, state);
    }
}

/** A first message over an enrolled certificate's connection activates it. */
static void activate_enrolled(cloud_t *cloud, int sender, uint32_t generation)
{
    cloud_certificate_t *certificate = &cloud->certificates[sender];
    if (certificate->state == CERTIFICATE_ISSUED && certificate->rotation == CLOUD_NONE) {
        cloud->may_reenroll = false;
        cloud->generation_committed = generation;
        activate(cloud, sender);
    }
}

static void receive_status(cloud_t *cloud, const cloud_outlet_t *outlet, const cJSON *message, int sender)
{
    const char *state = text_of(message, "state");
    cloud_rotation_t *rotation = find_rotation(cloud, text_of(message, "rotation_id"));
    uint32_t generation = (uint32_t)cJSON_GetNumberValue(cJSON_GetObjectItem(message, "generation"));
    cloud->trust_version = (uint32_t)cJSON_GetNumberValue(cJSON_GetObjectItem(message, "trust_version"));
    activate_enrolled(cloud, sender, generation);
    if (strcmp(state, "connected") == 0) {
        if (generation < cloud->generation_committed) {
            snprintf(cloud->fault, sizeof(cloud->fault), "generation %u is connected, %u was committed",
                     (unsigned)generation, (unsigned)cloud->generation_committed);
        }
        on_connected(cloud, outlet, message, sender);
    } else if (strcmp(state, "committed") == 0) {
        on_committed(cloud, outlet, sender, generation);
    } else if (strcmp(state, "rejected") == 0) {
        on_ended(cloud, message, sender, ROTATION_REJECTED);
    } else if (strcmp(state, "rolled_back") == 0) {
        on_ended(cloud, message, sender, ROTATION_ROLLED_BACK);
    } else if (rotation != NULL && cloud_is_open(rotation)) {
        advance(rotation, strcmp(state, "staged") == 0 ? ROTATION_STAGED : ROTATION_ACCEPTED);
    }
}

void cloud_receive(cloud_t *cloud, const cloud_outlet_t *outlet, const char *leaf, const cJSON *message, int sender)
{
    if (strcmp(leaf, "enroll") == 0) {
        enroll(cloud, outlet, message, sender);
    } else if (sender < 0 || cloud->certificates[sender].state > CERTIFICATE_ACTIVE) {
        return; /* the sender's certificate is not live (any more) */
    } else if (strcmp(leaf, "csr") == 0) {
        activate_enrolled(cloud, sender, cloud->generation_committed);
        answer_csr(cloud, outlet, message, sender);
    } else {
        receive_status(cloud, outlet, message, sender);
    }
}
