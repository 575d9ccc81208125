import pickle
import re
from pathlib import Path

from pkakey_engine import errors
from pkakey_engine.errors import Refusal, Refused

SOURCE = Path(errors.__file__).parent


def test_every_code_is_area_dot_words_and_stands_once() -> None:
    codes = [refusal.value for refusal in Refusal]
    assert len(set(codes)) == len(codes)
    for refusal in Refusal:
        assert re.fullmatch(r"[a-z]+(\.[a-z]+(-[a-z]+)*)", refusal.value)
        assert refusal.name == refusal.value.upper().replace(".", "_").replace("-", "_")


def test_every_refusal_but_the_stores_is_raised_somewhere() -> None:
    code = "".join(path.read_text() for path in SOURCE.rglob("*.py") if path.name != "errors.py")
    unused = {refusal for refusal in Refusal if f"Refusal.{refusal.name}" not in code}
    # That a certificate is revoked already is known to the server's store alone.
    unused -= {Refusal.REVOCATION_ALREADY_REVOKED}
    assert {name for name in unused if not name.startswith("name.malformed")} == set()


def test_a_refusal_survives_being_sent_to_another_process() -> None:
    error = Refused(Refusal.KEY_TOO_SMALL, "Too small.")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes.
    assert (again.refusal, again.detail) == (error.refusal, error.detail)
    assert str(again) == "key.too-small: Too small."
