"""Comparisons: pipelines x images x kernels x scales x noise levels, and what follows from them.

comparison.py   what is compared: dataclasses          reader.py     document -> Comparison
places.py       where images, kernels and files are    methods.py    the rows of the tables
observing.py    one observation                        measuring.py  one result: metrics, memory
rows.py         the rows on disk (CSV)                 run.py        the loop: `pnp.compare`
"""
