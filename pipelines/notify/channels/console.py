"""The console: coloured text on a stream, for who watches ``arguslab up``."""

import io
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
    message, to = compose(notice, alerting), stream or sys.stdout
    # rich ends the process when its stream breaks, so it writes to memory and we write to the stream.
    memory = io.StringIO()
    console = Console(file=memory, force_terminal=to.isatty(), highlight=False, soft_wrap=True)
    console.print(Text.assemble((message.title, _STYLES[message.tone]), "\n", message.body))
    try:
        to.write(memory.getvalue())
        to.flush()
    except OSError as error:
        return Attempt(f"the stream cannot be written ({error.strerror or type(error).__name__})")
    return Attempt()
