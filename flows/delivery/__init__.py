"""Reports and signals on their way to people: who gets what, how it is made, sent once, and written down.

recipients (who may) -> plan (ledger) -> sender (claim, make, hand over, settle) -> smtp or webhook
"""
