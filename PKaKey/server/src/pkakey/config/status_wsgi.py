"""The status process: `granian --interface wsgi pkakey.config.status_wsgi:application`.

Imports no Django. Reads the environment that `config.env.Env` describes.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pkakey_signers.client import SignerClient
from psycopg.conninfo import make_conninfo

from pkakey.config import request_ids, tracing
from pkakey.config.env import Env
from pkakey.config.logs import configure_logs
from pkakey.config.metrics import keep_metrics, serve_metrics

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_env = Env.load()
configure_logs(_env.log_level)
keep_metrics(_env)
tracing.begin_tracing("status")

# Once it is known where figures are kept.
from pkakey.fronts.status.app import StatusSettings, create_application  # noqa: E402

_database = _env.database_url
if _env.database_password_file is not None:
    _database = make_conninfo(_database, password=_env.database_password_file.read_text().strip())

_answer = create_application(
    StatusSettings(database=_database),
    signer=SignerClient(
        _env.signer_socket, request_id=request_ids.current, asking=tracing.asking_signer
    ),
)
serve_metrics(_env)
_ROUTES = frozenset({"ca", "crl", "ocsp"})


def _application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer one request under an id, which the answer and the logs get."""
    request_id = request_ids.begin(environ.get("HTTP_X_REQUEST_ID"))
    what = environ.get("PATH_INFO", "").split("/", 2)[1:2]
    route = what[0] if what and what[0] in _ROUTES else "none"
    tracing.name_request(environ.get("REQUEST_METHOD", "")[:8], route, request_id)

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:  # noqa: ANN401  # PEP 3333.
        return start_response(status, [*headers, ("X-Request-ID", request_id)], *rest)

    return _answer(environ, start)


application = tracing.traced(_application)
