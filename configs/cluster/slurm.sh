#!/bin/bash
# Trains on several hosts of a Slurm cluster, one process a socket:   sbatch configs/cluster/slurm.sh CONFIG.yaml [--set KEY=VALUE …]
# The config says the mesh (parallel.mesh); without one all processes are replicas. The checkpoint folder and the data set are on a file system that all hosts see.
# The same command goes on after the time limit: Slurm sends SIGUSR1 two minutes before, which mpirun hands on, and training saves and stops.
#SBATCH --job-name=baton
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --output=baton-%j.log

set -euo pipefail

# mpirun of Debian's Open MPI takes hosts and numbers from Slurm; each process gets a socket of its own.
exec mpirun --map-by socket --bind-to socket build/release/baton train --config "$1" --threads "$SLURM_CPUS_PER_TASK" --progress none "${@:2}"
