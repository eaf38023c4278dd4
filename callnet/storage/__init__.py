"""What must last: accounts, devices and contacts in SQL."""
