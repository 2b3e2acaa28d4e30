"""Who may see what. One function decides, so that tokens can join later in one place."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from catalog.model import Access


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `grants` are the access classes that the caller may read."""

    name: str = ""
    grants: Set[Access] = frozenset({"publik"})


ANYONE = Caller()


def may_see(access: Access, caller: Caller = ANYONE) -> bool:
    """Tell whether the caller may know of a dataset; what may not be seen is answered as 404."""
    return access in caller.grants
