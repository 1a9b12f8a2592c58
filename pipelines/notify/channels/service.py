"""Every other service, through the apprise library: e-mail, PagerDuty, Teams, Discord and so on."""

import threading
import warnings
from queue import Empty, SimpleQueue

from pipelines.fleet.models import Alerting
from pipelines.notify.channels.post import TIMEOUT_S, Attempt, ChannelError
from pipelines.notify.message import compose
from pipelines.notify.model import Notice

_TYPES = {"bad": "failure", "warning": "warning", "good": "success"}


def notify_service(url: str, notice: Notice, alerting: Alerting, *, timeout_s: float = TIMEOUT_S) -> Attempt:
    """Return what came of handing the message to apprise.

    Raises ChannelError when apprise cannot read the URL.
    """
    with warnings.catch_warnings():
        # apprise loads all its plugins here, and one of them a module that Python 3.13 drops.
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise  # noqa: PLC0415  many modules: only who uses such a channel pays

        service = apprise.Apprise()
        is_known = service.add(url)
    if not is_known:
        raise ChannelError("apprise does not know this URL; see its list of services and correct the variable")
    message = compose(notice, alerting)
    answers: SimpleQueue[bool] = SimpleQueue()

    def run() -> None:
        answers.put(bool(service.notify(title=message.title, body=message.body, notify_type=_TYPES[message.tone])))

    # Not every plugin heeds a time limit; a thread that hangs is left behind and ends with the process.
    threading.Thread(target=run, name="apprise", daemon=True).start()
    try:
        is_delivered = answers.get(timeout=timeout_s)
    except Empty:
        return Attempt(f"no answer within {timeout_s:g} s")
    return Attempt() if is_delivered else Attempt("the service refused the message or could not be reached")
