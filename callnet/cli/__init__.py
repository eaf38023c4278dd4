"""The commands of ``callnet``. Each is imported only when it is run."""
