"""The status process: `granian --interface wsgi pkakey.config.status_wsgi:application`.

Imports no Django. Reads the environment that `config.env.Env` describes.
"""

from pkakey_signers.client import SignerClient
from psycopg.conninfo import make_conninfo

from pkakey.config.env import Env
from pkakey.fronts.status.app import StatusSettings, create_application

_env = Env.load()
_database = _env.database_url
if _env.database_password_file is not None:
    _database = make_conninfo(_database, password=_env.database_password_file.read_text().strip())

application = create_application(
    StatusSettings(database=_database), signer=SignerClient(_env.signer_socket)
)
