"""An index as one Parquet file, and back.

columns.py    the columns, and what the file says of the whole
exporting.py  an index into a file
exported.py   a file opened: its sizes judged before anything is decoded
rows.py       one row judged
importing.py  a judged file as an index
"""
