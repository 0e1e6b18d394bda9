"""Categories: classes of lesions found without labels, by looped deep optimisation.

features -> clusters -> train -> features, until clusterings of successive rounds agree (Wang et
al., "Unsupervised joint mining of deep features and image labels", WACV 2017, arXiv:1701.06599).

features     lesions as numbers: vector, position with its error, size; one row a lesion, one vote
             a track
clustering   balanced k-means; how many categories (prediction strength)
classifier   the network that a round trains on its clusters, patients split
rounds       the loop, its convergence, names kept over rounds
hierarchy    a tree of categories from the classifier's confusions
naming       what a category is called, where that was earned
file         categories.json, bound to the encoder
"""
