"""Whether the time that the answer ``offline`` takes tells why it is ``offline`` (protocol §2.1).

Callees of every kind who do not ring are called in random order, over one socket, and the times from the ``call``
to the ``call_failed`` of each kind are compared.
"""
