"""The prepaid ledger: see README.md beside this file."""
