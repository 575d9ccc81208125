"""Small files that appear whole or not at all."""

import os
from pathlib import Path
from tempfile import mkstemp


def write_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write the file so that a crash leaves the old content or the new, never a part."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
