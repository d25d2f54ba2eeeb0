"""The part of popsearch's own code that a stored model takes along, as a package of its own.

Its name holds a hash of its content. So a model never meets other code than that it was stored
with: not where popsearch is installed, nor beside a model of another version in one process.
"""

import hashlib
import io
import json
import re
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_FILES = (
    "errors.py",
    "data/intake.py",
    "data/track_columns.py",
    "data/files/cells.py",
    "data/files/dates.py",
    "encoders/__init__.py",
    "encoders/dates.py",
    "encoders/labels.py",
    "encoders/names.py",
    "encoders/plain.py",
)
_EMPTY = ("__init__.py", "data/__init__.py", "data/files/__init__.py")
_OURS = re.compile(r"^(\s*)(from|import) popsearch\b", re.MULTILINE)


class Carried:
    """The files, and how they are called in a stored model."""

    @cached_property
    def name(self) -> str:
        """The package's name."""
        content = json.dumps({file: self._text(file) for file in _FILES})
        return f"popsearch_{hashlib.sha256(content.encode()).hexdigest()[:8]}"

    def write(self, folder: Path) -> Path:
        """Write the package into a folder, and give where it lies."""
        package = folder / self.name
        for file in (*_EMPTY, *_FILES):
            path = package / file
            path.parent.mkdir(parents=True, exist_ok=True)
            text = "" if file in _EMPTY else _OURS.sub(rf"\1\2 {self.name}", self._text(file))
            path.write_text(text, encoding="utf-8")
        return package

    def dump(self, fitted: Any, file: Path) -> list[str]:
        """Write a fitted estimator as skops does, with our encoders by their name in the package.

        Returns
        -------
        The types that whoever loads it has to trust.
        """
        import skops.io

        source, target = io.BytesIO(skops.io.dumps(fitted)), io.BytesIO()
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name == "schema.json":
                    schema = json.loads(content, object_hook=self._renamed)
                    content = json.dumps(schema).encode()
                new.writestr(name, content, zipfile.ZIP_DEFLATED)
        file.write_bytes(target.getvalue())
        # All of it was made here, from the user's own configuration; skops asks for the names.
        trusted: list[str] = skops.io.get_untrusted_types(file=file)
        return trusted

    def _renamed(self, node: dict[str, Any]) -> dict[str, Any]:
        module = node.get("__module__")
        if isinstance(module, str) and module.startswith("popsearch.encoders"):
            return {**node, "__module__": self.name + module.removeprefix("popsearch")}
        return node

    def _text(self, file: str) -> str:
        return (_ROOT / file).read_text(encoding="utf-8")
