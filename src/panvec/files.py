"""Files that are whole or not there, whenever the process is killed."""

import os
from pathlib import Path


def write_text(file: Path, text: str) -> None:
    """Write a file in UTF-8, or leave what is there; other processes may write it too."""
    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(file)
