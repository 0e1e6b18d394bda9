"""One phantom patient's anatomy, painted slice by slice."""
