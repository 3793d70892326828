/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * @file
 * @brief The device: the agent on the store of the firmware, with a cloud that answers at once.
 */
#pragma once

#include <stdbool.h>

/** @brief What happens to the device. It ends when the device is online with a proven identity of its own. */
typedef struct {
    const char *name;
    bool is_enrolled;    /*!< It begins with an identity */
    bool forgets;        /*!< The device gives up its identity, as it is told to */
    bool refuses_trial;  /*!< The cloud does not let the new certificate in */
    bool updates_trust;  /*!< It ends with the trust anchors the cloud sent last, instead of a new identity */
    void (*act)(void);   /*!< What is done once the device is online; NULL: nothing */
} story_t;

/** @brief How a life has ended. */
typedef enum {
    LIFE_DONE,  /*!< With the story */
    LIFE_CUT,   /*!< With the power */
    LIFE_WRONG, /*!< With the breach of a rule, which has been printed */
} life_end_t;

extern const story_t story_enrollment;
extern const story_t story_rotation_pushed;
extern const story_t story_rotation_by_csr;
extern const story_t story_roll_back;
extern const story_t story_trust_update;
extern const story_t story_factory_reset;

/** @brief Another device's flash has been put in: what the lives before have shown does not hold for it. */
void device_forget(void);

/**
 * @brief Switch the device on and let it live through a story.
 *
 * The rules: the store opens; the key of every identity it connects with is that of its certificate; once it has had an
 * identity it has one; the generation never goes back. The last two not while it forgets.
 */
life_end_t device_live(const story_t *story);
