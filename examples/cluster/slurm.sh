#!/usr/bin/env bash
# A batch on Slurm: sbatch slurm.sh. One Ray node a machine, the driver on the first one. Not run under Slurm; docs/cluster.md
# says what was. Change: nodes and GPUs, the input, the model, and RUNS, a folder that outlives the job. Submitted again it goes on.
#SBATCH --job-name=spct-batch
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --exclusive
#SBATCH --time=24:00:00
set -euo pipefail

RUNS=${RUNS:-$HOME/runs}
export RAY_USAGE_STATS_ENABLED=0
export TMPDIR=${TMPDIR:-/tmp}  # where shards are judged: a disk of each node
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK  # srun does not take it from sbatch since Slurm 22.05, and would give one core

# By its address, as Ray's manual has it: a name may stand for another network. HEAD_IP names one of several.
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
ip=${HEAD_IP:-$(srun --nodes=1 --ntasks=1 -w "$first" --overlap hostname --ip-address | tr ' ' '\n' | grep -m 1 -F .)}
address="$ip:6379"
# Ray is told what Slurm gave: by itself it counts all that the machine has.
given=(--num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus=8)

srun --nodes=1 --ntasks=1 -w "$first" --overlap \
  ray start --head --node-ip-address="$ip" --port=6379 "${given[@]}" --include-dashboard=false --block &
sleep 20
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
  srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$first" --overlap \
    ray start --address="$address" "${given[@]}" --block &
fi

# An actor for every two GPUs, over which vLLM splits its model (tensor_parallel_size); the batch begins with those that are there, and the others join.
srun --nodes=1 --ntasks=1 -w "$first" --overlap \
  spct judge '/data/items/*.jsonl' --ray "$address" --resume --out "$RUNS/first" \
  --model vllm:/models/judge-70b --gpus-per-actor 2 --actors 16 -k 8 \
  --engine-option 'arguments={"tensor_parallel_size": 2, "distributed_executor_backend": "mp"}'
