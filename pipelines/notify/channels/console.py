"""The console: coloured text on a stream, for who watches ``arguslab up``."""

import sys
from typing import TextIO

from rich.console import Console
from rich.text import Text

from pipelines.fleet.models import Alerting
from pipelines.notify.channels.post import Attempt
from pipelines.notify.message import compose
from pipelines.notify.model import Notice

_STYLES = {"bad": "bold red", "warning": "bold yellow", "good": "bold green"}


def print_notice(notice: Notice, alerting: Alerting, stream: TextIO | None = None) -> Attempt:
    """Write the message; standard output where no stream is given."""
    message = compose(notice, alerting)
    console = Console(file=stream or sys.stdout, highlight=False, soft_wrap=True)
    text = Text.assemble((message.title, _STYLES[message.tone]), "\n", message.body)
    try:
        console.print(text)
        console.file.flush()
    except OSError as error:
        return Attempt(f"the stream cannot be written ({error.strerror or type(error).__name__})")
    return Attempt()
