"""Body position: where in the body a slice or a box lies, with its error.

locator.py       BodyLocator: slabs and boxes in, locations with their errors out
narrow_field.py  the error where a narrow field of view cuts the body off
reconstructed_field.py  the rectangle or circle that padding leaves
reconstructed_field.py  the rectangle or circle that padding leaves of a slice
frame.py         DeepLesion's own frame of x and y (the body on a slice: retrieval.body)
picture.py       what the network sees
network.py       HeightNetwork; network_file.py its file
order.py         order, breaks and slice interval of a series
calibration.py   score to z, and the errors
learning/        training and calibration
"""
