"""What a page offers to click, and that Slack takes even the longest message."""

import json

import pytest
from slack_sdk.models.blocks import Block

from activities.channels import slack_message
from activities.channels.channel import Links
from activities.channels.slack import SlackSender
from holdfast.domain.channel import SlackChannel
from holdfast.domain.notification import NotificationKind, TimelineLine
from holdfast.domain.throttle import BundledIncident
from tests.activities.stand_in import answers

LINKS = Links(
    incident_url="https://holdfast.example/api/system/errors/incident-1",
    act_url="https://holdfast.example/act/one-time",
)
LONG = "<&>" * 2000


def shown(blocks):
    return json.dumps(blocks, ensure_ascii=False)


def page(notification, *, clickable=True):
    return slack_message.blocks(notification, LINKS, clickable=clickable)


def offered(blocks):
    """The elements of the block of actions, by their action ids."""
    found = [each for each in blocks if each["type"] == "actions"]
    return {each["action_id"]: each for block in found for each in block["elements"]}


def bundled(count, title="StreamLost"):
    return tuple(
        BundledIncident(
            incident_id=f"bundled-{number:06}", service="channels", severity="high", title=title
        )
        for number in range(count)
    )


def test_a_page_offers_what_can_be_done(make_notification):
    """Whoever is paged acts where they read it."""
    blocks = page(make_notification())
    (actions,) = [each for each in blocks if each["type"] == "actions"]
    assert actions["block_id"] == "holdfast.actions"
    elements = offered(blocks)
    assert list(elements) == [
        "holdfast.acknowledge",
        "holdfast.resolve",
        "holdfast.escalate",
        "holdfast.snooze",
    ]
    snooze = elements.pop("holdfast.snooze")
    assert {each["value"] for each in elements.values()} == {"incident-1"}
    assert [each["value"] for each in snooze["options"]] == [
        "incident-1|30m",
        "incident-1|1h",
        "incident-1|4h",
        "incident-1|8h",
    ]


@pytest.mark.parametrize(
    ("status", "actions"),
    [
        ("acknowledged", ["resolve", "snooze", "unacknowledge", "escalate"]),
        ("resolved", []),
        ("recovering", ["acknowledge", "resolve", "escalate", "snooze"]),
    ],
)
def test_an_update_offers_what_fits_the_state(make_notification, status, actions):
    """A button that can only be refused is not shown."""
    blocks = page(make_notification(NotificationKind.UPDATE, status=status))
    assert list(offered(blocks)) == [f"holdfast.{each}" for each in actions]


def test_a_reminder_offers_what_its_holder_may_want(make_notification):
    """In a block of its own: a click there does not show in the page below which it is not."""
    blocks = page(make_notification(NotificationKind.REMINDER, status="acknowledged"))
    assert list(offered(blocks)) == ["holdfast.resolve", "holdfast.snooze", "holdfast.escalate"]
    assert blocks[-1]["block_id"] == "holdfast.reminder"


def test_without_a_way_back_a_page_has_links_in_the_place_of_buttons(make_notification):
    """A button of an app that cannot hear of it shows an error to whoever is paged."""
    notification = make_notification().model_copy(update={"bundled": bundled(1)})
    blocks = page(notification, clickable=False)
    assert "holdfast." not in shown(blocks).replace("holdfast.example", "")
    assert "<https://holdfast.example/act/one-time|Act on it>" in shown(blocks)


@pytest.mark.parametrize("secret", ["signing_secret", "app_token"])
async def test_a_channel_that_hears_of_clicks_has_buttons(
    service, secrets, make_notification, secret
):
    """Over HTTP or over Socket Mode."""
    channel = SlackChannel.model_validate(
        {
            "kind": "slack",
            "token": "${SLACK_TOKEN}",
            "to": "#ops",
            "base_url": f"{service.url}/api/",
            secret: "${SLACK_TOKEN}",
        }
    )
    posted = json.dumps({"ok": True, "channel": "C1", "ts": "1.1"})
    json_type = {"Content-Type": "application/json"}
    service.expect("POST /api/chat.postMessage", answers(200, posted, json_type))
    sender = SlackSender(channel, secrets)
    await sender.send(make_notification(), LINKS)
    await sender.close()
    assert "holdfast.acknowledge" in offered(service.request.json["blocks"])
    assert "Act on it" not in shown(service.request.json["blocks"])


def test_a_page_says_whom_it_could_not_reach(make_notification):
    """The next level must know that it is the first to hear of it."""
    blocks = page(make_notification(unreached=("Ada could not be reached: <gone>",)))
    assert "*Could not be reached*\\n• Ada could not be reached: &lt;gone&gt;" in shown(blocks)


def test_a_page_names_the_others_that_it_speaks_for(make_notification):
    """Ten with a button of their own, the others counted."""
    notification = make_notification().model_copy(update={"bundled": bundled(12)})
    blocks = page(notification)
    assert "*This page speaks for 12 more incidents*" in shown(blocks)
    buttons = [each["accessory"] for each in blocks if "accessory" in each]
    assert [each["value"] for each in buttons] == [f"bundled-{each:06}" for each in range(10)]
    assert {each["action_id"] for each in buttons} == {"holdfast.acknowledge"}
    assert "000009 HIGH channels: StreamLost" in shown(blocks)
    assert "and 2 more" in shown(blocks)
    assert slack_message.text(notification).endswith("(and 12 more)")


@pytest.mark.parametrize("status", ["escalated", "acknowledged", "resolved"])
@pytest.mark.parametrize("kind", list(NotificationKind))
def test_the_longest_message_keeps_slacks_limits(make_notification, kind, status):
    """Slack refuses a message as a whole when one text is too long; its SDK knows the limits."""
    notification = make_notification(
        kind,
        incident_id="i" * 64,
        status=status,
        service="s" * 100,
        category=LONG,
        title=LONG,
        reason=LONG,
        outlook=LONG,
        holder=LONG,
        tried=(LONG,) * 20,
        unreached=(LONG,) * 20,
    ).model_copy(update={"bundled": bundled(30, LONG)})
    blocks = page(notification)
    assert len(blocks) <= 50
    for each in blocks:
        Block.parse(each).to_dict()  # raises for what is too long
    assert len(slack_message.text(notification)) <= 1000


@pytest.mark.parametrize(
    ("kind", "status", "lead"),
    [
        (NotificationKind.PAGE, "escalated", "[CRITICAL] channels: "),
        (NotificationKind.REMINDER, "acknowledged", "You still have this: channels: "),
        (NotificationKind.ACKNOWLEDGED, "acknowledged", "Acknowledged by Ada: channels: "),
        (NotificationKind.UNACKNOWLEDGED, "escalated", "Nobody has this any more: channels: "),
        (NotificationKind.RESOLVED, "resolved", "Resolved: channels: "),
        (NotificationKind.UPDATE, "recovering", "[CRITICAL] channels: "),
        (NotificationKind.UPDATE, "acknowledged", "Acknowledged by Ada: channels: "),
        (NotificationKind.UPDATE, "resolved", "Resolved: channels: "),
    ],
)
def test_the_lock_screen_tells_what_it_is_about(make_notification, kind, status, lead):
    """Whoever looks at it at night decides by it whether to get up."""
    notification = make_notification(kind, status=status, holder="Ada")
    assert slack_message.text(notification).startswith(lead)


def test_a_thread_is_told_all_lines_in_few_sections(make_notification):
    """Each with the time in the reader's own zone; a report's words are no markup."""
    lines = [
        TimelineLine(at="2026-03-01T03:14:15Z", text="level 1 is paged: <!channel>"),
        TimelineLine(at="2026-03-01T03:15:15Z", text="Ada has it"),
    ]
    (section,) = slack_message.thread_blocks(lines)
    first, second = section["text"]["text"].splitlines()
    assert first.startswith("<!date^1772334855^")
    assert first.endswith(" level 1 is paged: &lt;!channel&gt;")
    assert second.endswith(" Ada has it")
    assert "&lt;!channel&gt;; Ada has it" in slack_message.thread_text(lines)


def test_the_longest_thread_message_keeps_slacks_limits():
    """What a long outage gathered is told in several sections, the newest if not all fit."""
    lines = [TimelineLine(at="2026-03-01T03:14:15Z", text=LONG) for _ in range(400)]
    lines.append(TimelineLine(at="2026-03-01T03:14:15Z", text="the last"))
    blocks = slack_message.thread_blocks(lines)
    assert len(blocks) == 50
    for each in blocks:
        Block.parse(each).to_dict()
    assert shown(blocks[-1]).count("the last") == 1
    assert len(slack_message.thread_text(lines)) <= 1000
