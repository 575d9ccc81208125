"""The worker process: `python -m koolflows.config.worker`."""

import os


def main() -> None:
    """Work until told to stop."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "koolflows.config.settings")
    import django  # noqa: PLC0415  # Settings come first.

    django.setup()
    from django.conf import settings  # noqa: PLC0415  # As above.

    from koolflows.config.wiring import services  # noqa: PLC0415  # As above.
    from koolflows.fronts.worker.loop import run_until_stopped  # noqa: PLC0415  # As above.

    file = getattr(settings, "ENV").heartbeat_file  # noqa: B009  # Only real settings have it.
    run_until_stopped(services(), beat=file.touch if file is not None else lambda: None)


if __name__ == "__main__":
    main()
