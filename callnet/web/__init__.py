"""The HTTP edge: account service, site, and the page's room socket."""
