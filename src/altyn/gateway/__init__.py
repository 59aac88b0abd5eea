"""The story of a paid call: quote, hold, serve, settle.

`order.py` decides what is asked for and the most it can cost. `desk.py` takes the hold and starts
an attempt. `attempt.py` owns the upstream call and the money until both have ended, whether or not
anybody still listens. `recovery.py` resolves what a process that died has left open.
"""
