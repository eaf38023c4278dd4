"""Video and audio without a browser, for ``callnet device --media`` in a room (docs/room.md).

Only :mod:`~callnet_client.media.peer`, :mod:`~callnet_client.media.studio` and :mod:`~callnet_client.media.recording` need aiortc and PyAV,
which are the optional extra ``media``.
"""
