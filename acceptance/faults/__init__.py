"""Many nodes under load while processes, links and Redis die: who loses a call, and why.

The devices keep the books (:mod:`acceptance.faults.books`), the injector records what it did
(:mod:`acceptance.faults.excuses`), and only afterwards the two are laid side by side: a call that went
wrong is excused by a fault that hit its own node, link or Redis in that fault's window, or it is lost.
"""
