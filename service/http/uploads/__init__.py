"""Images that clients send: decoded in a process of their own, held, queried, added."""
