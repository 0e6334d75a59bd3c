"""All mutations: importing them puts them into the catalogue."""

from __future__ import annotations

from tests.checker import mutations_of_reads, mutations_of_sessions, mutations_of_writes
from tests.checker.planting import MUTATIONS, Mutation

__all__ = [
    "MUTATIONS",
    "Mutation",
    "mutations_of_reads",
    "mutations_of_sessions",
    "mutations_of_writes",
]
