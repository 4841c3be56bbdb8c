"""``spct train all``: every stage of one recipe, each where it is needed, and one report.

``recipe`` checks the file, ``plan`` makes jobs of it (a job is one command of spct in one directory), ``run`` goes through
them, ``report`` puts together what they wrote. No stage is done here: the commands do that.
"""
