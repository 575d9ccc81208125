"""``python -m pkakey_signers.check_keystore``: tell whether a key opens every file of a keystore.

Reads only, so it may be asked while the signer runs.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pkakey_signers.errors import StartRefused
from pkakey_signers.sealing import MAX_SEALED_BYTES, SealBroken, unseal
from pkakey_signers.secret_files import read_key_encryption_key

_CONTENTS = {".key": "key", ".certificate": "certificate", ".check": "check"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was found; return 0 when all open, 1 when one does not, 2 without a key."""
    parser = argparse.ArgumentParser(
        prog="python -m pkakey_signers.check_keystore",
        description="Check that a key-encryption key opens every file of a keystore.",
    )
    parser.add_argument("--keystore", type=Path, required=True, metavar="DIR")
    parser.add_argument("--kek-file", type=Path, required=True, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        key = read_key_encryption_key(options.kek_file)
        files = sealed_files(options.keystore)
        broken = [path for path in files if not opens(path, key)]
    except StartRefused as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"{error.filename} cannot be read ({error.strerror}).\n")
        return 2
    if broken:
        names = ", ".join(path.name for path in broken[:5])
        sys.stderr.write(
            f"{len(broken)} of {len(files)} sealed files in {options.keystore} do not open under "
            f"{options.kek_file}: {names}. Restore them from a backup.\n"
        )
        return 1
    sys.stdout.write(f"All {len(files)} sealed files open.\n")
    return 0


def sealed_files(folder: Path) -> list[Path]:
    """Return every sealed file of the keystore; raises OSError when it cannot be listed."""
    # A file that is being written has a name with a dot before it, and is not a part yet.
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix in _CONTENTS and not path.name.startswith(".")
    )


def opens(path: Path, key_encryption_key: bytes) -> bool:
    """Tell whether the seal holds and is for this file; raises OSError."""
    expected = {"content": _CONTENTS[path.suffix]}
    if path.suffix != ".check":
        expected["key_id"] = path.stem
    if path.stat().st_size > MAX_SEALED_BYTES:
        return False
    try:
        unseal(path.read_bytes(), expected, key_encryption_key)
    except SealBroken:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
