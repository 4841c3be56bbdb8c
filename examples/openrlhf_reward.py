"""OpenRLHF with a reward file: ``--reward.remote_url examples/openrlhf_reward.py``, and SPCT_URL in the environment.

The service's own endpoint does the same without a file, and without the limit of a pool of threads:
``--reward.remote_url "http://127.0.0.1:8000/v1/openrlhf/reward?size=8&run=NAME"``. GROUP_SIZE is
``--rollout.n_samples_per_prompt``.
"""

import os

from spct.adapters.openrlhf import reward_func_by

reward_func = reward_func_by(os.environ["SPCT_URL"], group_size=int(os.environ.get("GROUP_SIZE", "4")))
