"""The whole experiment as one command: ensemble, link rules, Locust headless, report."""
