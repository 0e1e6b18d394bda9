"""What the readers of several carriers share.

concepts.py     codes and words of diameters and units
graphics.py     points as stored: checked, told apart by their shape
contours.py     the connected parts of a region
drawn.py        the graphics of one finding as marks
report.py       what all findings of a structured report share
report_group.py one measurement group as marks
report_tree.py  the content tree of a structured report
aim_tree.py     AIM from XML or JSON
words.py        lengths and images that a reader wrote in words
"""
