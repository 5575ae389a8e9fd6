"""Sentry's webhooks, as Sentry documents them."""

import hashlib
import hmac
import json

SECRET, NEXT_SECRET = "client-secret-of-today", "client-secret-of-tomorrow"

EVENT = {
    "event_id": "e4874d664c3540c1a32eab185f12c5ab",
    "issue_id": "1117540176",
    "project": 1,
    "url": "https://sentry.io/api/0/projects/acme/front-end/events/e4874d664c3540c1a32eab185f12c5ab/",
    "web_url": "https://sentry.io/organizations/acme/issues/1117540176/events/e4874d66/",
    "issue_url": "https://sentry.io/api/0/issues/1117540176/",
    "culprit": "checkout.pay in charge",
    "datetime": "2026-03-01T08:14:58.120000Z",
    "environment": "production",
    "level": "fatal",
    "logger": "",
    "message": "",
    "metadata": {"filename": "pay.py", "type": "CardError", "value": "the card was declined"},
    "platform": "python",
    "release": None,
    "exception": {
        "values": [
            {"type": "KeyError", "value": "'card'", "stacktrace": None},
            {
                "type": "CardError",
                "value": "the card was declined",
                "mechanism": {"handled": False, "type": "wsgi"},
                "stacktrace": {
                    "frames": [
                        {"module": "web", "function": "handle", "filename": "web.py", "lineno": 7},
                        {"module": None, "function": None, "filename": "pay.py", "lineno": None},
                    ]
                },
            },
        ]
    },
    "request": {"url": "https://shop.example.com/pay", "headers": [["Cookie", "session=1"]]},
    "tags": [["level", "fatal"], ["region", "eu-west"], ["empty", None]],
    "contexts": {"trace": {"trace_id": "771a43a4192642f0b136d5159a501700", "op": "http"}},
    "user": {"id": 42, "email": "ada@example.com", "ip_address": "203.0.113.9"},
    "title": "CardError: the card was declined",
}
ISSUE = {
    "id": "1117540176",
    "shortId": "FRONT-END-9",
    "title": "CardError: the card was declined",
    "culprit": "checkout.pay in charge",
    "level": "error",
    "metadata": {"type": "CardError", "value": "the card was declined"},
    "project": {"id": "1", "name": "Front end", "platform": "", "slug": "front-end"},
    "status": "unresolved",
    "firstSeen": "2026-03-01T08:00:00.000000Z",
    "lastSeen": "2026-03-01T08:14:58.120000Z",
    "web_url": "https://acme.sentry.io/issues/1117540176/",
}
METRIC_ALERT = {
    "description_text": "1000 events in the last 10 minutes",
    "description_title": "Critical: too many errors",
    "metric_alert": {
        "id": "4",
        "alert_rule": {"id": "7", "name": "Too many errors", "projects": ["front-end"]},
        "projects": ["front-end"],
        "title": "Sacred Marmot",
    },
    "web_url": "https://sentry.io/organizations/acme/alerts/1/",
}


def hook(action, data, *, actor="Sentry"):
    """A webhook as Sentry sends it."""
    return {
        "action": action,
        "actor": {"id": "sentry", "name": actor, "type": "application"},
        "data": data,
        "installation": {"uuid": "a8e5d37a-696c-4c54-adb5-b3f28d64c7de"},
    }


def signature(body, secret):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def signed(resource, content, *, secret=SECRET):
    """The request's body and headers."""
    body = json.dumps(content).encode()
    return {
        "content": body,
        "headers": {
            "Sentry-Hook-Resource": resource,
            "Sentry-Hook-Signature": signature(body, secret),
            "Sentry-Hook-Timestamp": "1772352898",
            "Request-ID": "6f2b1e",
        },
    }
