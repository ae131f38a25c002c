"""The same work over several machines, by Ray: the bank in shards, releases, an audit's cells."""
