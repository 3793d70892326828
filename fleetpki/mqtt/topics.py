# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The protocol's topics. One definition for everyone who publishes or subscribes."""

#: The broker plugin ends the sessions of the certificate named in a message to this topic.
DISCONNECT = "$CONTROL/fleetpki/v1/disconnect"

#: Workers subscribe together: each message goes to one of them.
_SHARED = "$share/fleetpki/"

ENROLL_REQUESTS = "bootstrap/+/enroll"
CSR_REQUESTS = "devices/+/certs/csr"
STATUS_REPORTS = "devices/+/certs/status"


def shared(topic_filter: str) -> str:
    """The filter as a subscription that workers share."""
    return _SHARED + topic_filter


def device_of(topic: str) -> str:
    """The device id in a topic below ``devices/`` or ``bootstrap/``."""
    return topic.split("/", 2)[1]


def enroll_accepted(device_id: str) -> str:
    """Answer to an enrolment: the new identity."""
    return f"bootstrap/{device_id}/enroll/accepted"


def enroll_rejected(device_id: str) -> str:
    """Answer to an enrolment: why not."""
    return f"bootstrap/{device_id}/enroll/rejected"


def certs(device_id: str, kind: str) -> str:
    """A certificate topic of a device: ``rotate``, ``issued``, ``rejected``, ``commit`` …."""
    return f"devices/{device_id}/certs/{kind}"
