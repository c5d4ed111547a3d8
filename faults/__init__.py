"""Faults on purpose: `make faults` breaks a real server, its database and its clients while they work.

__main__.py      the options
environment.py   everything that is broken: database, server, clients; made and removed together
database.py      PostgreSQL in a folder of its own, on a disk of its own that can be filled
site.py          `manage.py serve`, started again when it ends, and its log
calls.py         requests that are sent again, with their key, until they are answered
run_scenarios.py runs from their creation to their end, request by request
lease_scenarios.py, queue_scenarios.py   those of workers under leases, and of the runs in a queue
leased_worker.py a worker under a lease, as a process
webhooks.py      a client whose runs fail, and the process of receiver.py, to which alerts go
proxy.py         a TCP proxy that cuts connections
engine.py        an engine that reports by pastetrader_client, as a process
engines.py       these processes, started again when they are killed
journal.py       what was acknowledged, compared with what is stored
kinds.py         the faults; kinds_of_database.py, kinds_of_clients.py, kinds_of_workers.py, kinds_of_receivers.py
fault_run.py     one fault: strike, wait for the service, compare, read the log
report.py        the table of a seed
"""
