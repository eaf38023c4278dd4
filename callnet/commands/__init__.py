"""The commands of ``callnet``, each imported only when it is used."""
