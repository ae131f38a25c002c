"""`sfumato filter serve`: one process of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.filter.options import DATABASE, Database, Shortlist, stored_of
from sfumato.cli.options import Device, Ray, Workers


def serve(
    backbone: Annotated[Path, typer.Option(help="The provider's public backbone file.")],
    db: Database = DATABASE,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8080,
    hidden: Annotated[
        int | None, typer.Option(help="M of every enrollment; the database's, 32 where new.")
    ] = None,
    quota: Annotated[
        int, typer.Option(help="Enrollments of one account, with those gone within a week.")
    ] = 20,
    flood: Annotated[
        int, typer.Option(help="Enrollments in an hour, after which more are quarantined.")
    ] = 500,
    answer_minutes: Annotated[
        float,
        typer.Option(help="Least time until an account sees whether what it enrolled counts."),
    ] = 30.0,
    uploads: Annotated[int, typer.Option(help="Uploads of one account in a minute.")] = 600,
    enrollments: Annotated[int, typer.Option(help="Enrollments of one account in a minute.")] = 60,
    requests: Annotated[int, typer.Option(help="Other requests of one account in a minute.")] = 600,
    shortlist: Shortlist = None,
    device: Device = "cpu",
    workers: Workers = None,
    concurrency: Annotated[
        int, typer.Option(help="Requests served at once; more are answered 503.")
    ] = 64,
    per_address: Annotated[
        int | None,
        typer.Option(
            help="Those of one address; half of --concurrency by default, and for a proxy on this "
            "machine no limit."
        ),
    ] = None,
    body_seconds: Annotated[
        float, typer.Option(help="Seconds in which a request's body must have arrived.")
    ] = 30.0,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="Certificate with its chain (PEM): serve HTTPS.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="The certificate's key (PEM, no passphrase).")
    ] = None,
    ray: Ray = None,
    shards: Annotated[
        int, typer.Option(min=1, help="With --ray: parts of the bank, a process each.")
    ] = 2,
) -> None:
    """Serve the filter over HTTP; /docs describes it. Several may share one database."""
    from sfumato.extras import needs

    needs("serve", "the service", "fastapi", "uvicorn", "prometheus_client")
    stored_of(backbone)
    from sfumato.errors import ConfigError
    from sfumato.serve.run import serve as run
    from sfumato.serve.settings import ServeSettings, Tls

    if (tls_certificate is None) != (tls_key is None):
        raise ConfigError("--tls-certificate and --tls-key go together: give both or neither")
    settings = ServeSettings(
        backbone=backbone,
        database=db,
        host=host,
        port=port,
        hidden=hidden,
        quota=quota,
        flood=flood,
        answer_minutes=answer_minutes,
        uploads_per_minute=uploads,
        enrollments_per_minute=enrollments,
        requests_per_minute=requests,
        shortlist=shortlist,
        device=device,
        workers=workers,
        concurrency=concurrency,
        per_address=per_address,
        body_seconds=body_seconds,
        tls=Tls(tls_certificate, tls_key) if tls_certificate and tls_key else None,
    )
    if ray is not None and device != "cpu":
        raise ConfigError("--device is for a bank in this process: shards score on the CPU")
    if ray is None:
        run(settings)
        return
    from sfumato.serve.sharded.serving import serve_sharded

    serve_sharded(settings, address=ray, shards=shards)
