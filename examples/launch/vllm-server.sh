#!/bin/sh
# Rollouts from a vLLM server on GPUs of its own (here 6 and 7), training on the others. Start it with the model that RL
# begins from, then give the recipe of RL:
#   rollouts: vllm
#   vllm: {mode: server, server_base_url: "http://127.0.0.1:8000"}
# and a launch configuration with CUDA_VISIBLE_DEVICES=0,1,2,3,4,5 and num_processes: 6. TRL sends the server the new
# weights after every step. The other way is vllm: {mode: colocate, gpu_memory_utilization: 0.3}, with no server.
set -eu
MODEL=${1:?usage: vllm-server.sh MODEL (the model/ of spct train sft)}
CUDA_VISIBLE_DEVICES=${GPUS:-6,7} exec trl vllm-serve --model "$MODEL" --tensor-parallel-size 2 \
  --max-model-len "${CONTEXT:-8192}" --host 127.0.0.1 --port 8000
