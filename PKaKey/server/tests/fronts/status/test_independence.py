"""The status front stands beside Django, not on it."""

import subprocess
import sys


def test_the_status_application_imports_no_django() -> None:
    program = (
        "import sys\n"
        "import pkakey.fronts.status.app\n"
        "heavy = ('django', 'rest_framework', 'wagtail', 'celery', 'pkakey.store', "
        "'pkakey.services', 'pkakey.selectors', 'pkakey.config')\n"
        "print([name for name in sys.modules if name.startswith(heavy)])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
