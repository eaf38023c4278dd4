"""Video and audio without a browser, for ``callnet device --media`` in a room (docs/room.md).

Only ``peer``, ``studio`` and ``recording`` need aiortc and PyAV, which are the optional extra ``media``.
"""
