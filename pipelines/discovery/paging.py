"""Walking a paged list to its end, and noticing one that has none."""

from collections.abc import Awaitable, Callable
from typing import Any

from pipelines.discovery.model import DiscoveryError, Entry

MAX_PAGES = 200

Page = tuple[list[Entry], str | None]
"""The models of one page, and the cursor of the next; None on the last."""


async def every_page(fetch: Callable[[str | None], Awaitable[Page]]) -> list[Entry]:
    """Return the models of all pages.

    Raises:
        DiscoveryError: ``malformed`` when a cursor comes back a second time or the pages do not end.
    """
    entries: list[Entry] = []
    seen: set[str] = set()
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page, cursor = await fetch(cursor)
        entries += page
        if cursor is None:
            return entries
        if cursor in seen:
            raise DiscoveryError("malformed", "the list leads in a circle: its next page was read already")
        seen.add(cursor)
    raise DiscoveryError("malformed", f"the list does not end after {MAX_PAGES} pages")


def items(answer: Any, key: str, id_key: str) -> list[Entry]:
    """Return the models under ``key``.

    Raises:
        DiscoveryError: ``malformed`` when there is no such list, or an item has no id.
    """
    found = answer.get(key) if isinstance(answer, dict) else None
    if found is None and isinstance(answer, dict) and key in answer:
        found = []
    if not isinstance(found, list):
        raise DiscoveryError("malformed", f"the answer has no list called `{key}`; is this the right base_url?")
    return [entry(item, id_key) for item in found]


def entry(item: Any, id_key: str) -> Entry:
    """Return one model of a list; raises DiscoveryError when it has no id."""
    name = item.get(id_key) if isinstance(item, dict) else None
    if not isinstance(name, str) or not name:
        raise DiscoveryError("malformed", f"a model in the list has no `{id_key}`")
    return Entry(name, item)


def text(answer: Any, key: str) -> str | None:
    """Return a non-empty text of an answer, such as a cursor."""
    value = answer.get(key) if isinstance(answer, dict) else None
    return value if isinstance(value, str) and value else None
