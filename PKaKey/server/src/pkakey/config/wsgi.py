"""The web process: `granian --interface wsgi pkakey.config.wsgi:application`."""

import gc
import os
from typing import Final

from django.conf import settings

from pkakey.config.bodies import with_bodies_read
from pkakey.config.metrics import serve_metrics
from pkakey.config.site import make_site
from pkakey.config.tracing import begin_tracing, traced

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pkakey.config.settings")

_YOUNG_OBJECTS: Final = 50_000

begin_tracing("web")
application = with_bodies_read(traced(make_site()))
if _env := getattr(settings, "ENV", None):
    serve_metrics(_env)
# What is loaded by now stays; walking it again and again was a tenth of the time of a request.
gc.collect()
gc.freeze()
gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
