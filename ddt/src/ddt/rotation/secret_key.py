"""Django's secret key: the one before stays good for as long as a session may last."""

from datetime import datetime, timedelta
from pathlib import Path

from ddt import secret_files
from ddt.rotation.journal import Journal
from ddt.settings import Settings

SECRET = "django-secret-key"  # noqa: S105  # The file's name.
FALLBACKS = "django-secret-key-fallbacks"
SESSION_LIFE = timedelta(hours=12)  # SESSION_COOKIE_AGE of PKaKey.


def change(settings: Settings, *, now: datetime, at_once: bool) -> None:
    """Put a new key in the place of the present one, which becomes a fallback, or ends at once."""
    journal = Journal(settings.secrets)
    journal.begin(SECRET)
    present = secret_files.read(settings.secrets, SECRET)
    kept = [] if at_once else [(now + SESSION_LIFE, present), *_kept(settings, present, now)]
    lines = "".join(f"{until.isoformat()} {key}\n" for until, key in kept)
    # Before the key: whoever starts between the two knows both.
    secret_files.write_privately(settings.secrets / FALLBACKS, lines)
    journal.switch(SECRET)


def forget(settings: Settings) -> None:
    """End every key before the present one."""
    (settings.secrets / FALLBACKS).unlink(missing_ok=True)


def _kept(settings: Settings, present: str, now: datetime) -> list[tuple[datetime, str]]:
    file: Path = settings.secrets / FALLBACKS
    if not file.exists():
        return []
    found = []
    for line in file.read_text(encoding="ascii").splitlines():
        until, _, key = line.partition(" ")
        if key != present and datetime.fromisoformat(until) > now:
            found.append((datetime.fromisoformat(until), key))
    return found
