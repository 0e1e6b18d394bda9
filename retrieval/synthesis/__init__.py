"""Images that this project makes: phantoms, pasted and painted lesions."""
