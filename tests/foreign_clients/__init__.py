"""Clients in other languages, each as its makers ship it; `make test-clients` runs them."""
