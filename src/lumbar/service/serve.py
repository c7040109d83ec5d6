"""Run a service until it receives a signal to stop."""

import signal
import sys
from collections.abc import Sequence

import uvicorn

from lumbar.service.config import ServiceConfig
from lumbar.service.core import ServiceCore
from lumbar.service.demo import take_demo_studies
from lumbar.service.http.app import make_app
from lumbar.service.log import set_up_log
from lumbar.service.receiver import Receiver
from lumbar.service.supervisor import WORKER

_MOST_CONNECTIONS = 512
_LONGEST_HEAD_BYTES = 16 * 1024


def serve(config: ServiceConfig, worker_command: Sequence[str] = WORKER) -> None:
    """Run the service of `config`; returns when a signal ends it.

    Raises:
        UsageError: the data folder cannot be used, or another service uses it.
    """
    set_up_log()
    core = ServiceCore(config, worker_command)
    if config.receiver:
        core.add("receiver", Receiver(config.receiver, core.folder, core.intake, config.least_free_gib).run)
    if config.demo:
        core.add("demo studies", lambda _: take_demo_studies(core))
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(core),
            host=config.host,
            port=config.port,
            ssl_certfile=config.certificate,
            ssl_keyfile=config.key,
            log_config=None,
            access_log=False,  # the guard writes a line without addresses
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            h11_max_incomplete_event_size=_LONGEST_HEAD_BYTES,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=3,
            lifespan="on",
        )
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises the signal again at its end: what the caller has to clean up is cleaned up
    server.run()
    if not server.started:
        sys.exit(1)
