"""What stands between a socket and the routes; most guards are ASGI middlewares.

install.py   puts them in their order; refuses to serve other machines without keys
headers.py   security headers on every answer, also on that of a defect
origins.py   calls by an unknown name (DNS rebinding) or from another site's page
access.py    API keys and their roles, and how often one client may ask
audit.py     who did what to whose data, in a log of its own
bodies.py    encoding, size and pace of a request's body
crowd.py     how many requests are served at once, of all and of one client
connections.py  how many connections there are, and how long they may be idle
sending.py   answers no faster than they are read
start_token.py  the token of one start, where no keys are asked for
keys.py      the file of API keys: hashed, named, revocable
rates.py     token buckets
"""
