"""Makes ``twistd callnet`` and ``twist callnet`` known."""

from twisted.application.service import ServiceMaker

callnet = ServiceMaker("callnet", "callnet.tap", "A server for one-to-one video calls", "callnet")
