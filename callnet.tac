"""The daemon for ``twistd -y``: what ``twistd callnet`` runs, with the settings that CALLNET_CONFIG names."""

from twisted.application.service import Application

from callnet.tap import Options, makeService

application = Application("callnet")
makeService(Options()).setServiceParent(application)
