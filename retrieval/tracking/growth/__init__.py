"""What is likely to happen to a lesion, and the similar lesions that the answer rests on.

    courses       a lesion's sizes over its studies, and what cannot be used, in words
    patient_courses  those of one patient's lesion tracks
    steps         one measured size and the next: what forecasts are learned from
    kernels       a distribution of log change as weighted kernels, mixed, with its ranges
    climatology   what lesions of that size and type did
    neighbours    what the most similar lesions of other patients did
    laws          exponential and Gompertz growth of one lesion with three dated sizes or more
    mixing        how much each counts, by leave-one-patient-out log score
    conformal     ranges made to hold what they say, by patient
    blend         the components of one lesion, and their mixture
    model         all that is fitted, and the file it ships in
    fit           the model of a collection of steps
    outlooks      what a size may become: ranges, chances, doubling time
    answers       what a forecast says, with its JSON
    forecasting   one lesion's forecast

Sizes are natural logarithms of a length in mm or of a volume in mm3; a change is the difference of
two of them. Pure functions of arrays; nothing here reads an index. Research use only.
"""
