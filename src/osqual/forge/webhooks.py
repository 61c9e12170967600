"""Telling others when a configuration's verdict is not what it was: as JSON, or for Slack."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from osqual.effects.retry import retry
from osqual.effects.scope import RunScope
from osqual.errors import PublishFailed, TransientError
from osqual.forge.rest import Api
from osqual.settings import Webhook

_SIGNS = {"qualified": ":white_check_mark:", "rejected": ":x:", "inconclusive": ":warning:"}


@dataclass(frozen=True, kw_only=True)
class Change:
    """A verdict and the one before it, which is empty for the first."""

    configuration: str
    before: str
    verdict: str
    run: str
    reasons: tuple[str, ...] = ()
    url: str = ""


def body_of(change: Change, shape: str) -> dict[str, Any]:
    """What is sent."""
    if shape == "json":
        return {"event": "verdict.changed", **vars(change), "reasons": list(change.reasons)}
    was = f" (was {change.before})" if change.before else ""
    where = f"<{change.url}|{change.run}>" if change.url else change.run
    head = f"{_SIGNS.get(change.verdict, '')} `{_plain(change.configuration)}`: {change.verdict}"
    lines = [f"{head}{was}, run {where}", *(f"• {_plain(reason)}" for reason in change.reasons[:3])]
    return {"text": "\n".join(lines)}


def notify(
    change: Change, webhooks: tuple[Webhook, ...], environ: Mapping[str, str], scope: RunScope
) -> None:
    """Tell each; one that cannot be told is a warning, and changes nothing about the run."""
    for number, webhook in enumerate(webhooks, 1):
        url = webhook.url or environ.get(webhook.variable, "")
        if not url:
            scope.warn(f"${webhook.variable} is not set, so nobody is told there.")
            continue
        who = f"The webhook {number}"
        api = Api(base_url=url, who=who, setting="notify", plain_answers=True)
        body = body_of(change, webhook.shape)
        try:
            retry(partial(api.call, "POST", "", body=body), f"telling webhook {number}", scope)
        except (PublishFailed, TransientError) as error:
            scope.warn(error.brief)


def _plain(text: str) -> str:
    """Nothing in it is taken for a link or a mention."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("`", "'")
