"""Scenarios: experiments written down, played alike on real processes and in virtual time.

`reading` makes a `model.Scenario` of a file, `lint` finds what could never work, `play` carries
its steps out on a `stage` without knowing what that is made of, `run` does all of it. Judges only
what the file says must be seen; whether a history is sound is `orchestrator.checker`'s.
"""
