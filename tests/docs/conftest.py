"""The store of the tests of the service."""

from tests.serve.conftest import postgres as postgres
