"""`sfumato filter serve`: one process of the service."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.configoptions import options_of
from sfumato.cli.filter.options import DATABASE, Database, Shortlist, stored_of
from sfumato.cli.options import Device, Ray, warn_if_others_can_read
from sfumato.serve.limits import Limits


@options_of(Limits)
def serve(
    backbone: Annotated[Path, typer.Option(help="The provider's public backbone file.")],
    config: Limits,
    db: Database = DATABASE,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8080,
    shortlist: Shortlist = None,
    device: Device = "cpu",
    tls_certificate: Annotated[
        Path | None, typer.Option(help="Certificate with its chain (PEM): serve HTTPS.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="The certificate's key (PEM, no passphrase).")
    ] = None,
    ray: Ray = None,
    shards: Annotated[
        int | None,
        typer.Option(
            min=1, max=1024, help="With --ray: parts of the bank, a process each; else 2."
        ),
    ] = None,
) -> None:
    """Serve the filter over HTTP; /docs describes it. Several may share one database."""
    from sfumato.extras import needs

    needs("serve", "the service", "fastapi", "uvicorn", "prometheus_client")
    from sfumato.errors import ConfigError
    from sfumato.serve.run import serve as run
    from sfumato.serve.settings import ServeSettings
    from sfumato.serve.tls import Tls

    if (tls_certificate is None) != (tls_key is None):
        raise ConfigError("`tls_certificate` and `tls_key` go together: give both or neither")
    if ray is not None and device != "cpu":
        raise ConfigError("`device` is for a bank in this process: shards score on the CPU")
    if ray is None and shards is not None:
        raise ConfigError("`shards` is for a bank on a Ray cluster: give `ray`, too")
    tls = Tls(tls_certificate, tls_key) if tls_certificate and tls_key else None
    settings = ServeSettings(
        backbone=backbone,
        database=db,
        host=host,
        port=port,
        shortlist=shortlist,
        device=device,
        tls=tls,
        **{one.name: getattr(config, one.name) for one in fields(config)},
    )
    if tls is not None:
        tls.check()
        warn_if_others_can_read(tls.key)
    stored_of(backbone)
    if ray is None:
        run(settings)
        return
    from sfumato.serve.sharded.serving import serve_sharded

    serve_sharded(settings, address=ray, shards=shards or 2)
