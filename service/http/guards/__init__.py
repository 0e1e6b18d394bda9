"""What stands between a socket and the routes; each guard is one ASGI middleware.

install.py   puts them in their order; refuses to serve other machines without keys
headers.py   security headers on every answer, also on that of a defect
origins.py   calls by an unknown name (DNS rebinding) or from another site's page
access.py    API keys and their roles, and how often one client may ask
bodies.py    encoding, size and pace of a request's body
crowd.py     how many requests are served at once
keys.py      the file of API keys: hashed, named, revocable
rates.py     token buckets
"""
