"""What published detectors add to a one-stage detector, each chosen by a recipe's key.

anchors          sizes and shapes of anchors that fit the boxes there are
slice_attention  groups of slices weighed place by place (Tao)
views            HU windows as views, weighed with the height in the body (MVP-Net)
masks            ellipses of RECIST marks, and a head that learns them (ULDor)
side_lessons     the loss terms of masks and height
hard_negatives   confident detections that their HU show to be no lesion (ULDor)
"""
