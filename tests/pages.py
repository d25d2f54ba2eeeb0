"""A page as a browser reads it: its elements, its texts, and the figures that it holds."""

import base64
import gzip
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

LOADING = ("src", "href", "srcset", "data", "action", "poster", "background")


class Page(HTMLParser):
    """What a page consists of.

    ``tags`` counts elements, ``loaded`` holds what they load or link to, ``text`` is what a person
    reads, ``scripts`` are contents of scripts by their type.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.loaded: list[str] = []
        self.text = ""
        self.scripts: dict[str, list[str]] = {}
        self._kind: str | None = None
        self.feed(file.read_text())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        own = dict(attrs)
        self.loaded += [value or "" for name, value in attrs if name in LOADING]
        self._kind = (own.get("type") or "") if tag in ("script", "style") else None

    def handle_endtag(self, tag: str) -> None:
        self._kind = None

    def handle_data(self, data: str) -> None:
        if self._kind is None:
            self.text += data
        else:
            self.scripts.setdefault(self._kind, []).append(data)

    @property
    def figures(self) -> list[dict[str, Any]]:
        """The interactive pictures, as plotly gets them."""
        return [json.loads(text) for text in self.scripts.get("application/json", [])]

    @property
    def library(self) -> str:
        """The script that is packed into the page."""
        (packed,) = self.scripts["text/plain"]
        return gzip.decompress(base64.b64decode(packed)).decode()


def numbers(values: Any) -> list[float]:
    """Give the numbers of a trace, which plotly may have packed."""
    if isinstance(values, dict):
        import numpy as np

        packed = base64.b64decode(values["bdata"])
        return [float(value) for value in np.frombuffer(packed, values["dtype"])]
    return [float(value) for value in values if value is not None]
