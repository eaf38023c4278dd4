"""Who a device is: phones, devices, tokens, contacts."""
