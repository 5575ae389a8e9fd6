"""All vendors' stand-ins at once, and a policy file that pages over every one of them."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from examples.stand_ins.apprise_target import AppriseTarget
from examples.stand_ins.callbacks import Callbacks
from examples.stand_ins.mail import MailServer
from examples.stand_ins.pagerduty import PagerDutyStandIn
from examples.stand_ins.slack import SlackStandIn
from examples.stand_ins.slack_members import SlackMembers
from examples.stand_ins.twilio import TwilioStandIn
from examples.stand_ins.webhooks import WebhookReceiver

# Twilio refuses to report to a loopback address; what stands in for it finds the way here.
PUBLIC_URL = "https://holdfast.example.org"
ADA, GRACE = "U0ADA", "U0GRACE"
GRACES_NUMBER = "+15550100002"
OPS_NUMBER = "+15550100009"
BUNDLED_WITHIN = 8.0
BROKEN_DEADLINE = 3.0
SLACK_TIMEOUT = 2.0
# A tenth of that in fact; a busy machine may take its time.
AT_ONCE = timedelta(seconds=2)

POLICY = """
bundling: {{within: {bundled_within}s}}
services:
  core: {{}}
  leaf: {{depends_on: [core]}}
people:
  ada:
    name: Ada Lovelace
    contacts: [{{channel: slack, to: U0ADA}}]
  grace:
    name: Grace Hopper
    contacts:
      - {{channel: sms, to: "+15550100002"}}
      - {{channel: email, to: grace@example.org}}
      - {{channel: slack, to: U0GRACE}}
  linus:
    name: Linus Torvalds
    contacts: [{{channel: email, to: linus@example.org}}]
schedules:
  primary:
    description: Who answers first
    layers: [{{people: [ada, grace], starts_on: 2026-01-05}}]
    overrides:
      - {{person: ada, starts_at: 2026-01-01T00:00:00Z, ends_at: 2100-01-01T00:00:00Z}}
channels:
  slack:
    kind: slack
    token: ${{SLACK_BOT_TOKEN}}
    signing_secret: ${{SLACK_SIGNING_SECRET}}
    base_url: {slack}
    timeout: {slack_timeout}s
  sms:
    kind: sms
    account_sid: ${{TWILIO_ACCOUNT_SID}}
    auth_token: ${{TWILIO_AUTH_TOKEN}}
    sender: "+15550100000"
    base_url: {twilio}
  email:
    kind: email
    host: 127.0.0.1
    port: {mail_port}
    security: none
    username: ${{SMTP_USERNAME}}
    password: ${{SMTP_PASSWORD}}
    sender: Holdfast <holdfast@example.org>
  pagerduty:
    kind: pagerduty
    routing_key: ${{PAGERDUTY_ROUTING_KEY}}
    webhook_secrets: ["${{PAGERDUTY_WEBHOOK_SECRET}}"]
    base_url: {pagerduty}
  hook: {{kind: webhook, url: "{hooks}/hook", secrets: ["${{HOOK_SECRET}}"]}}
  spare: {{kind: webhook, url: "{hooks}/spare", secrets: ["${{HOOK_SECRET}}"]}}
  broken:
    kind: webhook
    url: "{broken}/broken"
    secrets: ["${{HOOK_SECRET}}"]
    deadline: {broken_deadline}s
    fallback: spare
  apprise: {{kind: apprise, urls: ["${{APPRISE_URL}}"]}}
escalation:
  policies:
    everywhere:
      hold_page_for: 0s
      levels:
        - targets:
            - {{channel: slack, to: "#ops"}}
            - {{channel: sms, to: "+15550100009"}}
            - {{channel: email, to: ops@example.org}}
            - {{channel: pagerduty}}
            - {{channel: hook}}
            - {{channel: apprise}}
    slack:
      hold_page_for: 0s
      levels: [{{targets: [{{channel: slack, to: "#ops"}}]}}]
    on-call:
      hold_page_for: 0s
      levels:
        - {{targets: [{{schedule: primary}}], escalate_after: 10m}}
        - {{targets: [{{person: grace}}]}}
    grace:
      hold_page_for: 0s
      levels: [{{targets: [{{person: grace}}]}}]
    linus:
      hold_page_for: 0s
      levels: [{{targets: [{{person: linus}}]}}]
    pagerduty:
      hold_page_for: 0s
      levels: [{{targets: [{{channel: pagerduty}}]}}]
    broken:
      hold_page_for: 0s
      levels: [{{targets: [{{channel: broken}}, {{channel: hook}}]}}]
    default:
      hold_page_for: 0s
      levels: [{{targets: [{{channel: hook}}]}}]
  rules:
    - {{policy: everywhere, service: [everywhere]}}
    - {{policy: slack, service: [clicked, typed, limited, stormed]}}
    - {{policy: on-call, service: [rota, explained]}}
    - {{policy: grace, service: [texted, undelivered]}}
    - {{policy: linus, service: [mailed]}}
    - {{policy: pagerduty, service: [paged]}}
    - {{policy: broken, service: [outage]}}
"""


@dataclass(frozen=True)
class Vendors:
    """What stands in for everybody whom Holdfast speaks to.

    Attributes:
        secrets: The environment with everybody's secrets.
    """

    slack: SlackStandIn
    twilio: TwilioStandIn
    mail: MailServer
    pagerduty: PagerDutyStandIn
    hooks: WebhookReceiver
    broken: WebhookReceiver
    apprise: AppriseTarget
    secrets: dict[str, str]

    @property
    def refusals(self) -> list[str]:
        """What went wrong on either side, all together."""
        everybody = (
            self.slack,
            self.twilio,
            self.mail,
            self.pagerduty,
            self.hooks,
            self.broken,
            self.apprise,
        )
        return [refusal for each in everybody for refusal in each.refusals]

    @property
    def told(self) -> list[str]:
        """All that anybody was told, over whatever."""
        events = [event for each in self.pagerduty.alerts.values() for event in each.events]
        return [
            *(f"{each.text} {each.words}" for each in self.slack.messages),
            *(each.text for each in self.slack.whispers),
            *(each.body for each in self.twilio.texts),
            *(f"{each.subject} {each.text}" for each in self.mail.mails),
            *(str(event) for event in events),
            *(str(each.data) for each in (*self.hooks.arrivals, *self.broken.arrivals)),
            *(f"{each.title} {each.message}" for each in self.apprise.notes),
        ]

    def members(self, holdfast: Callbacks) -> SlackMembers:
        """The people of the Slack workspace."""
        return SlackMembers(self.slack, holdfast, self.secrets["SLACK_SIGNING_SECRET"])

    def write_policy(self, folder: Path) -> Path:
        """The policy file for them."""
        path = folder / "policy.yaml"
        path.write_text(
            POLICY.format(
                bundled_within=BUNDLED_WITHIN,
                broken_deadline=BROKEN_DEADLINE,
                slack_timeout=SLACK_TIMEOUT,
                slack=self.slack.base_url,
                twilio=self.twilio.url,
                mail_port=self.mail.port,
                pagerduty=self.pagerduty.url,
                hooks=self.hooks.url,
                broken=self.broken.url,
            )
        )
        return path


@asynccontextmanager
async def open_for_business() -> AsyncIterator[Vendors]:
    """Everybody, listening on free ports."""
    token, signing = f"xoxb-{secrets.token_hex(16)}", secrets.token_hex(16)
    account, auth = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
    user, password = "holdfast", secrets.token_hex(8)
    routing_key, webhook = secrets.token_hex(16), secrets.token_hex(20)
    hook = "whsec_" + secrets.token_hex(24)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        apprise = await enter(AppriseTarget())
        yield Vendors(
            slack=await enter(SlackStandIn(token, channels={"#ops", ADA})),
            twilio=await enter(TwilioStandIn(account, auth)),
            mail=await enter(MailServer(user, password)),
            pagerduty=await enter(PagerDutyStandIn(routing_key, webhook)),
            hooks=await enter(WebhookReceiver(hook)),
            broken=await enter(WebhookReceiver(hook)),
            apprise=apprise,
            secrets={
                "SLACK_BOT_TOKEN": token,
                "SLACK_SIGNING_SECRET": signing,
                "TWILIO_ACCOUNT_SID": account,
                "TWILIO_AUTH_TOKEN": auth,
                "SMTP_USERNAME": user,
                "SMTP_PASSWORD": password,
                "PAGERDUTY_ROUTING_KEY": routing_key,
                "PAGERDUTY_WEBHOOK_SECRET": webhook,
                "HOOK_SECRET": hook,
                "APPRISE_URL": f"{apprise.url.replace('http', 'json')}/apprise",
            },
        )
