"""Terms that an image shows: of a lesion's vector and of the densities in its box.

outline.py     where in a patch the lesion is, as far as its box tells
densities.py   what the Hounsfield units in and about a box are, as numbers
calcium.py     its brightest voxels, on all planes
margin.py      how steeply and how evenly it ends
image_numbers.py  all of these numbers of a patch
network.py     the head: features to a probability for each term
weights_file.py  the head in a file, bound to the encoder of its vectors
prediction.py  features into tags, where a term's probability is above its threshold
learning/      lesions with known terms, training, calibration and the card
"""
