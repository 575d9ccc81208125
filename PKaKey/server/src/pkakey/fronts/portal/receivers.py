"""What the portal does when allauth tells of something."""

from typing import Any

from allauth.account.signals import password_changed
from django.dispatch import receiver


@receiver(password_changed)
def clear_the_duty_to_change(user: Any, **_: Any) -> None:  # noqa: ANN401  # allauth is untyped.
    """End the duty: a person who has chosen a password need not change it again."""
    if user.must_change_password:
        user.must_change_password = False
        user.save(update_fields=["must_change_password"])
