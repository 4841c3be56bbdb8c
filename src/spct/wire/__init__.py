"""Every request and response of the service as it travels, for the server and its clients alike; no web framework.

Rules: our own requests refuse keys they do not know, those in another's shape (rerank, score, OpenRLHF) ignore them, as
their clients send much that means nothing here. ``model`` in such a request names a judge where a service has several, and is
not looked at where it has one; a response names the model that judged. Numbers that a verdict lacks are null, never 0.
Limits on sizes are the server's, in ``limits``.

``COHORT_HEADER`` travels with each rollout: proxies in front of several replicas send requests with the same value to the same
replica, so that the rollouts of a group meet. The service itself does not look at it.

One file for each file of ``routes``; ``parts`` is what they have in common. ``asked`` makes the service's own values of a
request, ``answers`` an answer of its verdicts.
"""

COHORT_HEADER = "Spct-Cohort"
