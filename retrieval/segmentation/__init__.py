"""Segmentation and measurement: one mark -> a mask, diameters, volume, each with its interval.

prompt        what a reader gave (RECIST mark, box, point) as four quarter ellipses
view          what the network sees of one slice, and its answer back on the image
network       a small U-Net with prompt channels
network_file  its weights on disk
learning      how it is trained and calibrated
"""
