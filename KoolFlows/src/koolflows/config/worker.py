"""The worker process: `python -m koolflows.config.worker`."""

import os


def main() -> None:
    """Work until told to stop."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "koolflows.config.settings")
    import django  # noqa: PLC0415  # Settings come first.

    django.setup()
    from koolflows.config.wiring import services  # noqa: PLC0415  # As above.
    from koolflows.fronts.worker.loop import run_until_stopped  # noqa: PLC0415  # As above.

    run_until_stopped(services())


if __name__ == "__main__":
    main()
