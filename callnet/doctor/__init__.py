"""The checks of ``callnet doctor``: settings, machine, and the services that the daemon needs. All of them block."""
