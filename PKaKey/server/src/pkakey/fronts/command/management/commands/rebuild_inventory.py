"""`rebuild_inventory`: fill PeSequel's inventory again from the first event."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from pkakey.fronts.command.services_of import services_of_process


class Command(BaseCommand):
    """Empty the inventory and deliver every event again; the result is the same as before."""

    help = "Empty PeSequel's inventory and deliver every event again, from the first."

    def handle(self, *_args: Any, **_options: Any) -> None:  # noqa: ANN401  # Django's signature.
        """Rebuild, and say how much was delivered."""
        services = services_of_process()
        if services.outside.inventory_url is None:
            raise CommandError("There is no inventory: PKAKEY_INVENTORY_DATABASE_URL is not set.")
        count = services.rebuild_inventory()
        self.stdout.write(f"The inventory was rebuilt from {count} events.")
