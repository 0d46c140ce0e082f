"""Templates with names between at signs: ``@NAME@``."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = re.compile("@([A-Z]+)@")


def fill(template: str, values: Mapping[str, str]) -> str:
    """A template with each name replaced; KeyError for one not given. A value that looks like a name stays as it is."""
    return _NAME.sub(lambda found: values[found[1]], template)
