"""What is written and read: on both kinds of database."""

from __future__ import annotations

from tests.serve.conftest import on_both_kinds

database = on_both_kinds
