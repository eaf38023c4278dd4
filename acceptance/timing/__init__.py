"""The proof that the time of the answer ``offline`` does not show the reason (protocol §2.1).

Callees of every kind who do not ring are called in random order, over one socket, and the times from the ``call``
to the ``call_failed`` of each kind are compared.
"""
