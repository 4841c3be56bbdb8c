"""Batches on Ray: items cut into shards, shards judged by actors on many machines, all of it brought home into one run.

The way of a batch: ``files`` finds the input, ``cut`` writes it into shards, ``batch`` hands them to actors (``actor``), each of
which judges a shard into a run on its own disk (``shard``), and ``home`` adds what comes back to the run directory. ``rating`` has
a run that is there rated by actors, and from Python ``dataset`` judges the rows of a Ray Dataset. Nothing else in spct knows of
Ray, and nothing here judges by itself.
"""
