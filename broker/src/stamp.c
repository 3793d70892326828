/* SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0 */

#include "stamp.h"

#include <stddef.h>

#include <mosquitto.h>
#include <mqtt_protocol.h>

static const char *const STAMPED_TOPICS[] = {
    "bootstrap/+/enroll",
    "devices/+/certs/csr",
    "devices/+/certs/status",
};

bool stamp_applies_to(const char *topic)
{
    for (size_t i = 0; i < sizeof(STAMPED_TOPICS) / sizeof(STAMPED_TOPICS[0]); i++) {
        bool matched = false;
        if (mosquitto_topic_matches_sub(STAMPED_TOPICS[i], topic, &matched) == MOSQ_ERR_SUCCESS && matched) {
            return true;
        }
    }
    return false;
}

int stamp_message(mosquitto_property **properties, const char *certificate_id)
{
    if (mosquitto_property_read_string_pair(*properties, MQTT_PROP_USER_PROPERTY, NULL, NULL, false) != NULL) {
        return MOSQ_ERR_ACL_DENIED;
    }
    return mosquitto_property_add_string_pair(properties, MQTT_PROP_USER_PROPERTY, STAMP_PROPERTY, certificate_id);
}
