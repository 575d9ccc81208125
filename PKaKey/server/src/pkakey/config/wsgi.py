"""The web process: `granian --interface wsgi pkakey.config.wsgi:application`."""

import gc
import os
from typing import Final

from pkakey.config.bodies import with_bodies_read
from pkakey.config.site import make_site

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pkakey.config.settings")

_YOUNG_OBJECTS: Final = 50_000

application = with_bodies_read(make_site())
# What is loaded by now stays; walking it again and again was a tenth of the time of a request.
gc.collect()
gc.freeze()
gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
