"""The commands of `orchestrator`, a module for each family; see `orchestrator.cli.COMMANDS`."""
