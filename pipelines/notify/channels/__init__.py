"""Delivering a notice: one function for every kind of channel. Failures are results, and never hold a secret."""

from pipelines.notify.channels.deliver import deliver
from pipelines.notify.channels.heartbeat import heartbeat
from pipelines.notify.channels.webhook import signature, verify_signature

__all__ = ["deliver", "heartbeat", "signature", "verify_signature"]
