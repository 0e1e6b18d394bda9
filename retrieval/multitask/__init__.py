"""One network for boxes, scores, tags, masks and diameters: heads on the detector's own maps.

After MULAN (Yan et al., MICCAI 2019, arXiv 1908.04373). The detector's trunk, pyramid and box head
stay as they are; what is added reads the maps that one pass over the slice has made.

rois.py        what the heads see of a box: the trunk's maps about it, on a square grid
crops.py       a box that is given, in a picture of its own
mask_head.py   the mask of a box's lesion
refinement.py  the score-refinement layer: box score, tags and mask into one score
tag_vector.py  the maps under a mask as one vector, and the slice's numbers beside it
heads.py       the heads together, in one file that is bound to its detector
network.py     a slab to findings: box, score, category, tags, mask and diameters
learning/      lesions with masks and ratings, training, the refinement on training detections
"""
