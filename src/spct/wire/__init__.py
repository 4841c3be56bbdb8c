"""Every request and response of the service as it travels, for the server and its clients alike; no web framework.

Rules: our own requests refuse keys they do not know, those in another's shape (rerank, score, OpenRLHF) ignore them, as
their clients send much that means nothing here. ``model`` in such a request is not looked at; a response names the model
that judged. Numbers that a verdict lacks are null, never 0. Limits on sizes are the server's, in ``limits``.

One file for each file of ``routes``; ``parts`` is what they have in common. ``asked`` makes the service's own values of a
request, ``answers`` an answer of its verdicts.
"""
