"""Mining as a job of the service: one at a time, in a process of its own.

runner.py  MiningRunner: starts the process, knows how far it is, ends it
worker.py  the process: a MiningJob over the operator's folders or PACS
"""
