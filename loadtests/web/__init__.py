"""The tab "Stale reads" of Locust's web UI."""
