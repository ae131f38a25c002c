"""The filter service with its bank in shards on a Ray cluster: the same routes, one setting."""

from __future__ import annotations

from contextlib import ExitStack

from sfumato.cluster import connected
from sfumato.features.policy import Policy
from sfumato.serve.database.url import database_url, is_sqlite
from sfumato.serve.records.shard_share import Share
from sfumato.serve.records.store import Store, Terms
from sfumato.serve.run import serve
from sfumato.serve.settings import ServeSettings
from sfumato.serve.sharded.actors import RayShards
from sfumato.serve.sharded.bank import ShardedBank
from sfumato.serve.sharded.shard import ShardOrder


def serve_sharded(settings: ServeSettings, *, address: str, shards: int) -> None:
    """Serve as `serve` does, with the bank in `shards` parts on the cluster at `address`.

    Raises:
        ConfigError, ServiceError, BankError: as `serve`.
        UnavailableError: Ray is not installed.
    """
    with connected(address), ExitStack() as ending:

        def load(
            store: Store, terms: Terms, policy: Policy | None, settings: ServeSettings
        ) -> ShardedBank:
            wanted = orders(
                settings.database, terms, shards, policy=policy, reach=settings.shortlist
            )
            asked = ending.enter_context(RayShards(wanted))
            return ShardedBank.load(store, terms, asked, policy=policy)

        serve(settings, load)


def orders(
    database: str,
    terms: Terms,
    shards: int,
    *,
    policy: Policy | None = None,
    reach: float | None = None,
) -> list[ShardOrder]:
    """Return what each shard of a database has to hold."""
    url = database_url(database)
    # A path as it is: no character of it needs to be quoted, as it would in a URL.
    text = str(url.database) if is_sqlite(url) else url.render_as_string(hide_password=False)
    return [
        ShardOrder(
            database=text, terms=terms, share=Share(index, shards), policy=policy, reach=reach
        )
        for index in range(shards)
    ]
