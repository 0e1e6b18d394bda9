"""Terms that an image shows: of a lesion's vector and of the densities in its box.

densities.py   what the Hounsfield units in and about a box are, as numbers
network.py     the head: features to a probability for each term
weights_file.py  the head in a file, bound to the encoder of its vectors
prediction.py  features into tags, where a term's probability is above its threshold
learning/      lesions with known terms, training, calibration and the card
"""
