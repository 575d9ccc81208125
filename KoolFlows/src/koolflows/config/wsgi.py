"""The web process: `granian --interface wsgi koolflows.config.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "koolflows.config.settings")

application = get_wsgi_application()
