"""`altyn prove`: break everything around the money, and see whether the books still hold.

It runs the real ledger and the real gateway, against a vendor of its own on loopback, in folders
and databases of its own. `run.py` is the table of contents.
"""
