"""The delivery worker put together from the settings."""

import datetime as dt
from collections.abc import Callable

from flows.delivery.mail import MailChannel
from flows.delivery.recipients import Policy, domains_of
from flows.delivery.sender import Channel, Sender
from flows.delivery.smtp import MailServer
from flows.delivery.webhook import WebhookChannel, secret_of
from flows.settings import Settings
from warehouse.deliveries import Ledger

FINAL_TIMEOUT = 600.0
"""Seconds a mail server may take to answer the end of a message: RFC 5321, 4.5.3.2.6."""


def ledger_of(settings: Settings) -> Ledger:
    return Ledger(settings.delivery_ledger)


def policy_of(settings: Settings, ledger: Ledger) -> Policy:
    return Policy(settings.accounts_file, ledger, domains_of(settings.mail_domains))


def sender_of(
    settings: Settings, clock: Callable[[], dt.datetime], *, final_timeout: float = FINAL_TIMEOUT
) -> Sender:
    """A sender for every channel that is set up. Raises SettingsError for an unreadable password."""
    ledger = ledger_of(settings)
    channels: dict[str, Channel] = {}
    if settings.mail_host:
        server = MailServer(
            host=settings.mail_host,
            port=settings.mail_port,
            security=settings.mail_security,
            user=settings.mail_user,
            password=settings.mail_password,
            authority=settings.mail_cafile,
            timeout=settings.mail_timeout_seconds,
            final_timeout=final_timeout,
        )
        channels["mail"] = MailChannel(
            server=server,
            sender=settings.mail_from,
            archive=settings.archive_dir,
            policy=policy_of(settings, ledger),
            ledger=ledger,
            clock=clock,
            attach_pdf=settings.mail_attach_pdf,
        )
    if settings.webhook_url:
        secret = secret_of(settings.webhook_secret)
        timeout = settings.mail_timeout_seconds
        channels["webhook"] = WebhookChannel(settings.webhook_url, secret, timeout, clock)
    # Ten answers at most come before the last one; a minute more for making and writing.
    lease = dt.timedelta(seconds=10 * settings.mail_timeout_seconds + final_timeout + 60)
    return Sender(ledger, channels, clock, lease=lease)
