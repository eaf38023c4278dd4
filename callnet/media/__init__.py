"""Video and audio without a browser, for ``callnet device --media`` in a room (docs/room.md).

Only :mod:`~callnet.media.peer`, :mod:`~callnet.media.studio` and :mod:`~callnet.media.recording` need aiortc and PyAV,
which are the optional extra ``media``.
"""
